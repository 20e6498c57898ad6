// SPDX-License-Identifier: Apache-2.0
// The account: its plan and limits, whose names its mail may bear, networks that send without a login, who signed in.
import { all, at, get, maybe } from "./api.js";
import { badge, card, h, moment, number, table } from "./dom.js";

const SENDERS = { own: "addresses of the account's domains, and verified ones", verified: "as own, and the From: of each message, too", any: "any" };

const limit = n => n ? number(n) : "no limit";
const list = items => items.length ? h("ul", { class: "plain" }, items.map(item => h("li", { class: "mono" }, item))) : "none";

function plan_card(plan, about) {
	if (!plan) return card(`Plan ${about.plan}`);
	return card(`Plan ${plan.name}`, h("dl", {},
		h("dt", {}, "Sends"), h("dd", {}, plan.can_send ? "yes" : "only through a provider of your own"),
		h("dt", {}, "Counted"), h("dd", {}, plan.unit),
		h("dt", {}, "A day, each mailbox"), h("dd", {}, limit(plan.mailbox_day)),
		h("dt", {}, "A day, the account"), h("dd", {}, limit(plan.account_day)),
		h("dt", {}, "An hour, the account"), h("dd", {}, limit(plan.account_hour)),
		plan.monthly > 0 && [h("dt", {}, "A month"), h("dd", {}, `${number(plan.monthly)}, from day ${about.renewal_day} on`)],
		h("dt", {}, "Recipients of a message"), h("dd", {}, limit(plan.recipients)),
		h("dt", {}, "Size of a message"), h("dd", {}, `${number(Math.floor(plan.size_max / 1048576))} MiB`)));
}

function owner_card(about) {
	return card("Owner", h("dl", {},
		h("dt", {}, "Address"), h("dd", {}, about.owner_email || "not told"),
		h("dt", {}, "Confirmed"), h("dd", {}, about.owner_verified ? badge("yes", "good") : badge("not yet", "warn")),
		h("dt", {}, "Since"), h("dd", {}, about.registered ? about.registered.slice(0, 10) : "not told")));
}

function senders_card(about) {
	return card("Senders", h("p", {}, "Whose names your mail may bear: ", SENDERS[about.senders_rule] || about.senders_rule, "."), h("dl", {},
		h("dt", {}, "Verified one by one"), h("dd", {}, list(about.verified_senders)),
		about.restrict_senders && [h("dt", {}, "Only these"), h("dd", {}, list(about.allowed_senders))]));
}

const networks_card = ips => card("Networks", h("p", { class: "soft" }, "Machines that send without a password, by their addresses."), table([
	["Network", ip => h("span", { class: "mono" }, ip.network)],
	["State", ip => badge(ip.state, ip.state === "active" ? "good" : "bad")],
	["Speed", ip => ip.rate_per_minute ? `${ip.rate_per_minute} a minute` : "no limit of its own"],
], ips, { empty: "None." }));

const sign_ins_card = told => told && card("Last sign-ins", table([
	["When", s => moment(s.when)],
	["How", s => s.how],
	["From", s => h("span", { class: "mono" }, s.address)],
	["With", s => s.agent || "-"],
], told.items, { empty: "None." }));

export async function account(ctx) {
	const [plan, ips, sign_ins] = await Promise.all([maybe(at`/v1/plans/${ctx.about.plan}`), all(`${ctx.root}/ips`),
		ctx.operator ? null : maybe("/v1/session/sign-ins")]);
	return { title: "Account", content: [h("h1", {}, `Account ${ctx.account}`), h("div", { class: "cards two" },
		h("div", {}, plan_card(plan, ctx.about), owner_card(ctx.about)),
		h("div", {}, senders_card(ctx.about), networks_card(ips), sign_ins_card(sign_ins)))] };
}
