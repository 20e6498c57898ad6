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

const COUNTED_MAX = 25; // mailboxes that are asked for one by one

// How much each of ADDRESSES sent today, in a map; of none where they are too many to ask.
export async function sent_today(ctx, addresses) {
	const told = new Map();
	if (addresses.length > COUNTED_MAX) return told;
	const ask = async address => {
		const usage = await maybe(at`/v1/accounts/${ctx.account}/mailboxes/${address}/usage`);
		const day = usage?.limits.find(({ limit }) => limit === "mailbox_day");
		if (day) told.set(address, day);
	};
	for (let i = 0; i < addresses.length; i += 5) await Promise.all(addresses.slice(i, i + 5).map(ask));
	return told;
}

async function busiest_bar(ctx) {
	const { items, next } = await get(`${ctx.root}/mailboxes?limit=${COUNTED_MAX}`);
	if (next) return null;
	const told = [...await sent_today(ctx, items.map(({ address }) => address))].filter(([, day]) => day.cap > 0);
	const [address, day] = told.sort(([, a], [, b]) => b.used - a.used)[0] || [];
	return day && bar(`Today, ${told.length > 1 ? "the busiest mailbox, " : ""}${address}`, day.used, day.cap, `back to 0 at ${clock(day.resets)}`);
}

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
	const busiest = usage && await busiest_bar(ctx);
	const stuck = plan && !plan.can_send && routes.items.every(({ effective }) => effective === "native" || effective === "nowhere");
	return { title: "Overview", content: [
		h("h1", {}, `Overview of ${ctx.account}`),
		ctx.operator && account_actions(ctx),
		stuck && h("section", { class: "card grey" }, h("h2", {}, "Your plan does not send"),
			h("p", {}, "It receives, and it relays through a provider of your own, Mailgun or SendGrid for instance."),
			h("p", {}, h("a", { class: "button act", href: ctx.href("/smtp") }, "Use your own provider: SMTP Settings"))),
		usage ? h("div", { class: "cards two" },
			card(`Sent, plan ${usage.plan}`, busiest, usage_bars(usage)), where(ctx, routes.items, usage.profiles))
			: card("Sent", h("p", {}, "The mail service does not answer now: what was sent cannot be told. What is set up can be looked at and changed.")),
		usage && card("Last problems", problems(ctx, usage.refusals)),
	] };
}
