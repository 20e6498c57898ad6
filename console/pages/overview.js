// SPDX-License-Identifier: Apache-2.0
// What was sent of what may be, where mail goes, and what went wrong of late.
import { at, get, maybe } from "./api.js";
import { bar, card, clock, h, moment, number, table } from "./dom.js";
import { account_actions } from "./ops.js";

const LIMITS = { account_hour: ["This hour", "all mailboxes"], account_day: ["Today", "all mailboxes"], mailbox_day: ["Today", "this mailbox"], account_month: ["This month", "the whole account"] };
const ORDER = ["mailbox_day", "account_hour", "account_day", "account_month"];
const HEALTH = { ok: ["works", "good"], good: ["works", "good"], failing: ["failing", "bad"], unused: ["not used yet", "unused"], none: ["not set up", "unused"] };

export function health(state) {
	const [words, tone] = HEALTH[state] || [state, "warn"];
	return h("span", { class: `dot ${tone}` }, words);
}

// The bars of an account's or a mailbox's usage; limits that do not hold are counts.
export function usage_bars(usage) {
	const limits = ORDER.map(name => usage.limits.find(({ limit }) => limit === name)).filter(Boolean);
	const title = ({ limit }) => LIMITS[limit].join(", ");
	const uncapped = limits.filter(({ cap }) => !cap);
	return [
		limits.filter(({ cap }) => cap).map(limit => bar(title(limit), limit.used, limit.cap,
			limit.used >= limit.cap && limit.next ? `next at ${clock(limit.next)}` : `back to 0 at ${clock(limit.resets)}`)),
		uncapped.length > 0 && h("p", { class: "soft" }, uncapped.map(limit => `${title(limit)}: ${number(limit.used)}, no limit`).join("; ")),
	];
}

const problems = (ctx, refusals) => table([
	["What", r => [`${number(r.count)} × `, h("span", { class: "mono" }, r.words)], "block"],
	["From", r => r.sender || "-"],
	["To", r => r.to || "-"],
	["Last", r => ctx.operator && r.id ? h("a", { href: `/ops/trace?id=${encodeURIComponent(r.id)}` }, moment(r.last)) : moment(r.last)],
], refusals, { empty: "Nothing was refused of late." });

function where(ctx, routes, profiles) {
	const account = routes.find(({ domain }) => domain === null);
	const name = account.effective;
	const words = name === "native" ? "Our own servers send your mail." : name === "nowhere" ? "There is no way out for your mail yet."
		: ["Your provider ", h("strong", {}, name), " sends your mail."];
	const others = routes.filter(({ domain, effective }) => domain && effective !== name);
	const used = new Set(routes.map(({ effective }) => effective));
	return card("Where your mail goes", h("p", {}, words),
		others.map(({ domain, effective }) => h("p", {}, `Mail of ${domain} goes by `, effective === "native" ? "our own servers." : effective === "nowhere" ? "no way yet." : [h("strong", {}, effective), "."])),
		profiles.filter(profile => used.has(profile.name)).map(profile => h("p", {},
			h("strong", {}, profile.name === "native" ? "Our servers" : profile.name), " ", health(profile.servers === 0 ? "none" : profile.state),
			profile.said && [h("br", {}), h("span", { class: "mono" }, profile.said)],
			profile.last_sent > 0 && h("span", { class: "soft small" }, ` last sent ${moment(profile.last_sent)}`))));
}

export async function overview(ctx) {
	const [usage, routes, plan] = await Promise.all([
		maybe(`${ctx.root}/usage`), get(`${ctx.root}/routes`), maybe(at`/v1/plans/${ctx.about.plan}`)]);
	const stuck = plan && !plan.can_send && routes.items.every(({ effective }) => effective === "native" || effective === "nowhere");
	return { title: "Overview", content: [
		h("h1", {}, `Overview of ${ctx.account}`),
		ctx.operator && account_actions(ctx),
		stuck && h("section", { class: "card grey" }, h("h2", {}, "Your plan does not send"),
			h("p", {}, "It receives, and it relays through a provider of your own, Mailgun or SendGrid for instance."),
			h("p", {}, h("a", { class: "button act", href: ctx.href("/smtp") }, "Use your own provider: SMTP Settings"))),
		usage ? h("div", { class: "cards two" },
			card(`Sent, plan ${usage.plan}`, usage_bars(usage)), where(ctx, routes.items, usage.profiles))
			: card("Sent", h("p", {}, "The mail service does not answer now: what was sent cannot be told. What is set up can be looked at and changed.")),
		usage && card("Last problems", problems(ctx, usage.refusals)),
	] };
}
