// SPDX-License-Identifier: Apache-2.0
// The form of a profile: presets that fill it in, a test of what stands in it before anything is saved, and the rest under "More".
import { at, call, call_if, get_tagged, maybe } from "./api.js";
import { button, clear_problem, field, form, h, put, removal_card, show_problem, values } from "./dom.js";
import { run_test } from "./trial.js";

const WAYS = [["587 starttls", "587, STARTTLS"], ["465 implicit", "465, TLS from the start"], ["2525 starttls", "2525, STARTTLS"], ["25 starttls", "25, STARTTLS"]];
const MORE = [
	["max_connections", "Connections at once", "0: as the provider's preset says"],
	["messages_per_connection", "Messages of a connection", "0: as the provider's preset says"],
	["per_minute", "Messages a minute", "0: as the provider's preset says"],
];
const MODES = { none: "not encrypted", starttls: "STARTTLS", implicit: "TLS from the start" };

function ways(was) {
	const own = was && `${was.port} ${was.tls}`;
	const known = own && !WAYS.some(([way]) => way === own) ? [[own, `${was.port}, ${MODES[was.tls]}`]] : [];
	return [...known, ...WAYS, ["other", "another port ..."]];
}

// What stands in the form, as the API's members. A password that is not typed is not said: it stays.
function members(form) {
	const said = values(form);
	const [port, tls] = said.way === "other" ? [said.port, said.tls] : said.way.split(" ");
	const told = { provider: said.provider, host: said.host.trim(), port: Number(port), tls, username: said.username.trim(), pin: said.pin.trim(), on_quota: said.on_quota };
	for (const [name] of MORE) told[name] = Number(said[name]);
	if (said.password) told.password = said.password;
	return told;
}

function presets_of(presets, was, on_choice) {
	return h("fieldset", {}, h("legend", {}, "Whose server is it?"), h("div", { class: "presets" }, presets.map(preset =>
		h("label", {}, h("input", { type: "radio", name: "provider", value: preset.name, checked: preset.name === (was?.provider || "custom"),
			onchange: () => on_choice(preset) }), preset.title))));
}

class Form {
	constructor(ctx, presets, name, [was, tag]) {
		Object.assign(this, { ctx, presets, name, was, tag });
		this.trial = h("section", { class: "card", hidden: true, "aria-label": "Test" });
		this.login = h("span", {});
		this.key = h("span", {});
		this.keep = h("span", {}, was?.has_password ? "Leave it empty to keep the one that is set. " : "");
		this.regions = h("div", { class: "field", hidden: true });
		this.other = h("div", { hidden: true },
			field("Port", "port", { type: "number", min: 1, max: 65535, value: was?.port || 587 }),
			field("Encryption", "tls", { value: was?.tls || "starttls", options: Object.entries(MODES) }));
		this.element = this.make();
		this.element.addEventListener("change", () => this.on_change());
		this.advise(this.preset());
		this.on_change();
	}

	preset() {
		const name = this.element.elements.provider.value;
		return this.presets.find(preset => preset.name === name) || this.presets[0];
	}

	can_test() {
		return this.ctx.can("POST /v1/accounts/{account}/profiles/test");
	}

	make() {
		const { was, name, ctx } = this;
		const host = field("Host", "host", { value: was?.host || "", inputmode: "url", spellcheck: "false", required: true }, "The name that its certificate holds.");
		const password = field("Password or key", "password", { type: "password", autocomplete: "new-password" }, h("span", {}, this.keep, this.key));
		const fields = [
			presets_of(this.presets, was, preset => this.choose(preset)),
			!name && field("Name", "name", { required: true, spellcheck: "false", value: "" }, "Short, for these pages and your routes: mailgun, for instance."),
			this.regions, host,
			field("Port and encryption", "way", { value: was ? `${was.port} ${was.tls}` : "587 starttls", options: ways(was) }, ""), this.other,
			field("User name", "username", { value: was?.username || "", spellcheck: "false" }, this.login),
			password,
			h("details", {}, h("summary", {}, "More"),
				MORE.map(([member, title, note]) => field(title, member, { type: "number", min: 0, value: was?.[member] || 0 }, note)),
				field("A quota used up there", "on_quota", { value: was?.on_quota || "default", options: [["default", "as the operator says"], ["defer", "try again later"], ["reject", "refuse the message"]] }),
				field("Only this certificate", "pin", { value: was?.pin || "", spellcheck: "false" }, "SHA-256 in hex; empty: any that is valid for the host.")),
			this.can_test() && field("Send the test to", "to", { type: "email", value: ctx.about.owner_email || "" }, "Empty: the test ends after logging in."),
		];
		const cancel = h("a", { href: ctx.href("/smtp"), class: "button" }, "Cancel");
		if (!this.can_test()) return form(fields, "Save", () => this.save(), cancel);
		return form(fields, "Test and save", async () => {
			if (await this.test()) await this.save();
		}, button("Test", () => this.test()), button("Save without a test", () => this.save()), cancel);
	}

	// A preset was chosen: its host, port and user name go into the form.
	choose(preset) {
		const e = this.element.elements;
		const first = preset.hosts[0];
		e.host.value = first ? first.host : "";
		if (e.name && (!e.name.value || this.presets.some(({ name }) => name === e.name.value))) e.name.value = preset.name === "custom" ? "" : preset.name;
		const way = `${preset.port} ${preset.tls}`;
		e.way.value = [...e.way.options].some(({ value }) => value === way) ? way : "587 starttls";
		e.username.value = preset.username;
		this.advise(preset);
		this.on_change();
	}

	advise(preset) {
		this.login.textContent = preset.login;
		this.key.textContent = preset.key;
		this.regions.hidden = preset.hosts.length < 2 && !preset.hosts[0]?.host.includes("*");
		if (this.regions.hidden) return;
		const host = this.element.elements.host;
		const any = preset.hosts.find(({ region }) => region === "*");
		const set = text => { host.value = text; this.on_change(); };
		put(this.regions, any
			? [h("label", { for: "f-region" }, "Region"), h("input", { id: "f-region", type: "text", autocomplete: "off", spellcheck: "false",
				oninput: e => set(any.host.replace("*", e.target.value.trim() || "*")) })]
			: [h("label", { for: "f-region" }, "Region"), h("select", { id: "f-region", onchange: e => set(e.target.value) },
				preset.hosts.map(({ region, host: name }) => h("option", { value: name, selected: name === host.value }, region)))]);
	}

	// The stored password was given for one server and login, and counts nowhere else.
	on_change() {
		const e = this.element.elements;
		this.other.hidden = e.way.value !== "other";
		if (!this.was?.has_password) return;
		const now = members(this.element);
		const moved = ["provider", "host", "port", "tls", "username"].some(member => now[member] !== this.was[member]);
		if (moved === this.moved) return;
		this.moved = moved;
		this.keep.hidden = moved;
		this.key.textContent = moved ? "The stored password was given for what stood here before; with another server or user name it is needed again." : this.preset().key;
	}

	// Says so, and false, where the password that is stored does not count for what stands here.
	has_password() {
		if (!this.moved || this.element.elements.password.value) return true;
		show_problem(this.element, { field: "password", message: "It is needed again for another server or user name" });
		return false;
	}

	async test() {
		clear_problem(this.element);
		if (!this.has_password()) return false;
		const { to } = values(this.element);
		const path = this.name ? at`/v1/accounts/${this.ctx.account}/profiles/${this.name}/test` : `${this.ctx.root}/profiles/test`;
		try {
			return await run_test(path, { ...members(this.element), ...(to ? { to } : {}) }, this.trial);
		} catch (problem) {
			this.trial.hidden = true;
			show_problem(this.element, problem);
			return false;
		}
	}

	async save() {
		if (!this.has_password()) return;
		const name = this.name || this.element.elements.name.value.trim();
		if (!name || name === "new") {
			show_problem(this.element, { field: "name", message: name ? "new is the name of this page: take another" : "A name is wanted" });
			return;
		}
		try {
			await call_if(this.tag, this.name ? "PATCH" : "PUT", at`/v1/accounts/${this.ctx.account}/profiles/${name}`, members(this.element));
		} catch (problem) {
			show_problem(this.element, problem);
			return;
		}
		location.href = this.ctx.href("/smtp");
	}
}

// For who may look, and no more.
function read_only(was) {
	if (!was) return h("p", {}, "Profiles are made by the account's owner or managers.");
	return h("dl", {}, [["Provider", was.provider], ["Host", was.host], ["Port and encryption", `${was.port}, ${MODES[was.tls]}`], ["User name", was.username || "none"],
		["Password", was.has_password ? "set" : "none"]].map(([title, text]) => [h("dt", {}, title), h("dd", {}, text)]));
}

function removal(ctx, name) {
	return removal_card("Remove this profile", h("p", {}, "A profile that a route names cannot be removed: change the route first."),
		button("Remove this profile", async () => {
			await call("DELETE", at`/v1/accounts/${ctx.account}/profiles/${name}`);
			location.href = ctx.href("/smtp");
		}));
}

export async function profile(ctx, said) {
	const name = said === "new" ? "" : said;
	const [presets, was] = await Promise.all([maybe("/v1/providers", { items: [{ name: "custom", title: "Custom SMTP", hosts: [], port: 587, tls: "starttls", username: "", login: "", key: "" }] }),
		name ? get_tagged(at`/v1/accounts/${ctx.account}/profiles/${name}`) : [null, null]]);
	if (!ctx.writes) return { title: name || "Profile", content: [h("h1", {}, name ? `Profile ${name}` : "Profile"), h("section", { class: "card text" }, read_only(was[0]))] };
	const made = new Form(ctx, presets.items, name, was);
	return { title: name || "New profile", content: [
		h("h1", {}, name ? `Profile ${name}` : "New profile"),
		h("div", { class: "cards most" }, h("div", {}, h("section", { class: "card" }, made.element), name && removal(ctx, name)), made.trial),
	] };
}
