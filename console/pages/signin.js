// SPDX-License-Identifier: Apache-2.0
// Signing in: by a link, by address and password, by an invitation; and the link that confirms an owner's address. Words of links
// stand behind the #, which browsers send to no server; they leave the address bar at once.
import { call, sign_in as ask } from "./api.js";
import { field, form, h, put } from "./dom.js";

function take_word() {
	const word = location.hash.slice(1);
	history.replaceState(null, "", location.pathname + location.search);
	return word;
}

// Only to a page of ours, whatever the address was made to say: its host is compared as the browser reads it.
function go_on() {
	const to = new URL(new URLSearchParams(location.search).get("to") || "/", location.origin);
	location.replace(to.origin === location.origin && to.pathname !== "/sign-in" ? to.pathname.replace(/^\/+/, "/") + to.search : "/");
}

const narrow = (title, ...content) => ({ title, content: h("section", { class: "card narrow" }, h("h1", {}, title), content) });
const code_field = () => field("Code of your authenticator app", "totp", { inputmode: "numeric", autocomplete: "one-time-code", maxlength: 6 }, "Six digits; only where you have set it up.");

export async function sign_in() {
	const word = take_word();
	const note = h("p", { role: "alert", class: "wrong" });
	if (word) {
		try {
			await ask("link", { token: word });
			go_on();
			return narrow("Signing in", h("p", {}, "One moment."));
		} catch (problem) {
			note.textContent = `${problem.message}. Ask for a new link where you got this one.`;
		}
	}
	return narrow("Sign in", note, form([
		field("Address", "address", { type: "email", autocomplete: "username", required: true }),
		field("Password", "password", { type: "password", autocomplete: "current-password", required: true }),
		code_field(),
	], "Sign in", async said => {
		await ask("password", { address: said.address.trim(), password: said.password, ...(said.totp ? { totp: said.totp } : {}) });
		go_on();
	}));
}

export async function invitation() {
	const word = take_word();
	if (!word) return narrow("Invitation", h("p", {}, "This address has lost its link. Open the invitation's link once more, whole."));
	return narrow("Welcome", h("p", {}, "Choose a password for these pages. Your mailboxes have passwords of their own."), form([
		field("Password", "password", { type: "password", autocomplete: "new-password", minlength: 12 }, "At least 12 characters; a sentence is easy to keep."),
		field("The same again", "again", { type: "password", autocomplete: "new-password" }),
	], "Set password and sign in", async said => {
		if (said.password !== said.again) throw Object.assign(new Error("The two are not the same"), { field: "again" });
		await ask("invitation", { token: word, password: said.password });
		location.replace("/");
	}));
}

export async function verify() {
	const word = take_word();
	const place = h("div", {});
	if (!word) return narrow("Confirm your address", h("p", {}, "This address has lost its link. Open the email's link once more, whole."));
	put(place, form([], "Confirm", async () => {
		await call("POST", "/v1/owner-verification", { token: word });
		put(place, h("p", { role: "status" }, "Thank you. Your address is confirmed, and sending is unlocked."), h("p", {}, h("a", { href: "/" }, "To your pages")));
	}));
	return narrow("Confirm your address", h("p", {}, "This confirms that the address of your account is yours."), place);
}
