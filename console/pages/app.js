// SPDX-License-Identifier: Apache-2.0
// The shell of all pages: who is signed in, the bar, the banner, and which module shows what the address says. Links load pages
// anew; there is no state but the address and the session.
import { at, call, calls, get, session } from "./api.js";
import { banner_of } from "./banner.js";
import { button, h, put, say } from "./dom.js";

// [address, module, its function, who may see it]; a part in () is given to the function.
const PAGES = [
	[/^\/sign-in$/, "signin", "sign_in", "anybody"],
	[/^\/invitation$/, "signin", "invitation", "anybody"],
	[/^\/verify$/, "signin", "verify", "anybody"],
	[/^\/$/, "overview", "overview", "owner"],
	[/^\/smtp$/, "smtp", "smtp", "owner"],
	[/^\/smtp\/([^/]+)$/, "profile", "profile", "owner"],
	[/^\/domains$/, "domains", "domains", "owner"],
	[/^\/domains\/([^/]+)$/, "domains", "domain", "owner"],
	[/^\/mailboxes$/, "mailboxes", "mailboxes", "owner"],
	[/^\/mailboxes\/([^/]+)$/, "mailboxes", "mailbox", "owner"],
	[/^\/account$/, "account", "account", "owner"],
	[/^\/ops$/, "ops", "ops", "operator"],
	[/^\/ops\/accounts$/, "ops", "accounts", "operator"],
	[/^\/ops\/trace$/, "ops", "trace", "operator"],
	[/^\/ops\/config$/, "ops", "config", "operator"],
];
const NAV = [["/", "Overview"], ["/smtp", "SMTP Settings"], ["/domains", "Domains"], ["/mailboxes", "Mailboxes"], ["/account", "Account"]];
const OPS_NAV = [["/ops", "Operations"], ["/ops/accounts", "Accounts"], ["/ops/trace", "Trace"], ["/ops/config", "Configuration"]];

function bar(ctx) {
	const entries = ctx.account ? NAV.map(([path, text]) => [ctx.href(path), text, path === ctx.section]) : [];
	const ops = ctx.operator ? OPS_NAV.map(([path, text]) => [path, text, !ctx.base && path === ctx.path]) : [];
	const link = ([href, text, current]) => h("li", {}, h("a", { href, "aria-current": current && "page" }, text));
	const accounts = ctx.session.accounts;
	put(document.getElementById("bar"), h("div", {},
		h("a", { class: "brand", href: ctx.operator ? "/ops" : "/" }, "Byway"),
		h("nav", { "aria-label": "Pages" }, h("ul", {}, (ctx.base ? [] : ops).map(link), (ctx.operator && !ctx.base ? [] : entries).map(link))),
		h("div", { class: "who" },
			!ctx.operator && accounts.length > 1 && h("form", { class: "row", action: "/", method: "get" }, h("label", { class: "check", for: "account" }, "Account"),
				h("select", { id: "account", name: "account" }, accounts.map(({ name }) => h("option", { value: name, selected: name === ctx.account }, name))),
				h("button", { class: "little" }, "Switch")),
			h("span", { class: "soft" }, ctx.session.person.name || ctx.session.person.email),
			button("Sign out", async () => {
				await call("DELETE", "/v1/session");
				sessionStorage.clear();
				location.href = "/sign-in";
			}, { class: "little" }))));
	if (ctx.base) document.getElementById("bar").append(h("div", { class: "frame" }, h("div", {},
		h("strong", {}, `You see the account ${ctx.account} as its owner does`), h("a", { href: "/ops" }, "Back to operations"))));
}

// Where we are: the account, and links that stay with it. Operators see an account's pages under /ops/accounts/NAME.
function place(told, can) {
	const path = location.pathname.replace(/(.)\/$/, "$1");
	const operator = told.person.role === "operator" || told.person.role === "support";
	const framed = operator && path.match(/^(\/ops\/accounts\/([^/]+))(\/.*)?$/);
	const names = told.accounts.map(account => account.name);
	const wanted = new URLSearchParams(location.search).get("account");
	const account = framed ? decodeURIComponent(framed[2]) : wanted && names.includes(wanted) ? wanted : names[0];
	const base = framed ? framed[1] : "";
	const query = !framed && account !== names[0] ? `?account=${encodeURIComponent(account)}` : "";
	const inner = framed ? framed[3] || "/" : path;
	const role = operator ? told.person.role : told.accounts.find(({ name }) => name === account)?.role;
	return {
		session: told, can, operator, account, base, path: inner, section: `/${inner.split("/")[1]}`,
		writes: ["operator", "owner", "manager"].includes(role),
		href: to => (base && to === "/" ? base : base + to) + query,
		root: at`/v1/accounts/${account}`,
	};
}

const show = (title, ...content) => put(document.getElementById("main"), h("h1", {}, title), content);

async function start() {
	const path = location.pathname.replace(/(.)\/$/, "$1");
	const open = PAGES.find(([address, , , who]) => who === "anybody" && address.test(path));
	const told = open ? null : await session();
	if (!open && !told) {
		location.replace(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
		return;
	}
	const ctx = open ? { path } : place(told, await calls());
	if (!open) bar(ctx);
	if (ctx.operator && path === "/") {
		location.replace("/ops");
		return;
	}
	const found = PAGES.find(([address, , , who]) => address.test(ctx.path) && (who !== "operator" || ctx.operator) && (who !== "owner" || ctx.account));
	if (!found) {
		document.title = "Not found - Byway";
		show("Not found", h("p", {}, "There is no page of this address. ", h("a", { href: "/" }, "To the first page")));
		return;
	}
	if (found[3] === "owner") {
		ctx.about = await get(ctx.root);
		const banner = await banner_of(ctx);
		put(document.getElementById("banner"), banner);
	}
	const parts = ctx.path.match(found[0]).slice(1).map(decodeURIComponent);
	const module = await import(`./${found[1]}.js`);
	const { title, content } = await module[found[2]](ctx, ...parts);
	document.title = `${title} - Byway`;
	put(document.getElementById("main"), content);
	document.body.dataset.ready = "";
}

start().catch(problem => {
	document.title = "Not shown - Byway";
	show(problem.status === 404 ? "Not found" : "This page cannot be shown now", h("p", {}, problem.message),
		h("p", {}, h("a", { href: location.href }, "Try again")));
	if (!problem.status && problem.status !== 0) say("The page has a mistake of its own.");
});
