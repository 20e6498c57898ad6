// SPDX-License-Identifier: Apache-2.0
// SMTP Settings: the account's profiles of providers, and by which of them the mail of each domain goes.
import { all, at, call, get, maybe } from "./api.js";
import { ago, button, card, form, h, say, table } from "./dom.js";
import { health } from "./overview.js";
import { run_test } from "./trial.js";

export const name_of = profile => profile.name.split("/").pop();

function profiles_card(ctx, profiles, routes, usage) {
	const trial = h("section", { class: "card", hidden: true, "aria-label": "Test" });
	const state = name => usage?.profiles.find(profile => profile.name === name)?.state;
	const users = name => routes.filter(route => route.effective === name).map(route => route.domain || "the account");
	const test = profile => button("Test", () => run_test(at`/v1/accounts/${ctx.account}/profiles/${name_of(profile)}/test`,
		{ to: ctx.about.owner_email || undefined, check_only: true }, trial), { class: "little", "aria-label": `Test ${name_of(profile)}` });
	const columns = [
		["Name", p => h("a", { href: ctx.href(at`/smtp/${name_of(p)}`) }, name_of(p))],
		["Server", p => h("span", {}, `${p.host}:${p.port}`, h("br", {}), h("span", { class: "soft small" }, p.provider))],
		["Login", p => h("span", {}, p.username || "none", h("br", {}), h("span", { class: "soft small" }, p.password_set ? `password set ${ago(p.password_set)}` : "no password"))],
		["Health", p => state(name_of(p)) ? health(state(name_of(p))) : "not known"],
		["Used by", p => users(name_of(p)).join(", ") || "nobody"],
	];
	if (ctx.writes && ctx.can("POST /v1/accounts/{account}/profiles/{profile}/test")) columns.push(["Try it", test]);
	return [card("Profiles", table(columns, profiles, { empty: "No provider of your own is set up. With one, your mail goes through its servers, on any plan." })), trial];
}

function choices(ctx, profiles, plan, route) {
	const native = plan?.can_send === false ? "our servers (not in your plan)" : "our servers";
	return [["inherit", route.domain ? "as the account" : "as the plan says"], ["native", native],
		...profiles.map(profile => [name_of(profile), name_of(profile)])];
}

function routes_card(ctx, profiles, routes, plan) {
	const select = (route, key, options) => h("select", { name: `${key} ${route.domain || ""}`, disabled: !ctx.writes,
		"aria-label": key === "route" ? `Route of ${route.domain || "the account"}` : `When that fails, for ${route.domain || "the account"}` },
	options.map(([value, text]) => h("option", { value, selected: route[key] === value,
		disabled: value === "native" && plan?.can_send === false && route[key] !== "native" }, text)));
	const goes = { native: "our servers", nowhere: "nowhere" };
	const rows = table([
		["Mail of", route => route.domain || "the account"],
		["Goes by", route => select(route, "route", choices(ctx, profiles, plan, route))],
		["When that fails", route => select(route, "fallback", [["none", "wait"], ...choices(ctx, profiles, plan, route).slice(1)])],
		["In the end", route => goes[route.effective] || route.effective],
	], routes);
	if (!ctx.writes) return card("Routes", rows);
	return card("Routes", form(rows, "Save routes", async (said, self) => {
		for (const route of routes) {
			const key = route.domain || "";
			const wanted = { route: said[`route ${key}`], fallback: said[`fallback ${key}`] };
			if (wanted.route === route.route && wanted.fallback === route.fallback) continue;
			await call("PUT", route.domain ? at`/v1/accounts/${ctx.account}/domains/${route.domain}/route` : `${ctx.root}/route`, wanted);
		}
		const fresh = routes_card(ctx, profiles, (await get(`${ctx.root}/routes`)).items, plan);
		self.closest(".card").replaceWith(fresh);
		fresh.querySelector("button").focus();
		say("The routes are saved.");
	}));
}

export async function smtp(ctx) {
	const [profiles, routes, usage, plan] = await Promise.all([all(`${ctx.root}/profiles`), get(`${ctx.root}/routes`),
		maybe(`${ctx.root}/usage`), maybe(at`/v1/plans/${ctx.about.plan}`)]);
	return { title: "SMTP Settings", content: [
		h("div", { class: "head" }, h("h1", {}, "SMTP Settings"),
			ctx.writes && h("a", { class: "button act", href: ctx.href("/smtp/new") }, "New profile")),
		profiles_card(ctx, profiles, routes.items, usage),
		routes_card(ctx, profiles, routes.items, plan),
	] };
}
