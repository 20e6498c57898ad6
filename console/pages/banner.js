// SPDX-License-Identifier: Apache-2.0
// Why nothing of an account is sent, at the top of each of its pages: one sentence, the worst first, and what cures it.
import { at, call, get, maybe } from "./api.js";
import { button, h, say } from "./dom.js";

const SUSPENDED = {
	"suspended-abuse": "Your account is temporarily restricted. Please contact support for details.",
	"suspended-deliverability": "We've temporarily paused outbound mail because too many of your recent messages were rejected by recipient servers. " +
		"This is usually a quick fix — please reach out to support and we'll help you get sending again.",
	"suspended-billing": "There is a billing issue with your account. Please update payment details or contact support.",
	"closed": "This account is closed.",
};

// Whether the daemon holds mail back because the owner's address is not confirmed: the first of its ten checks, for any mailbox.
async function is_unverified(ctx) {
	if (ctx.about.owner_verified) return false;
	const { items } = await get(`${ctx.root}/mailboxes?limit=1`);
	if (!items.length) return false;
	const told = await maybe(`${ctx.root}/explain?mailbox=${encodeURIComponent(items[0].address)}`);
	return told?.checks.some(check => check.name === "owner" && check.status === "fail");
}

const support = ctx => ctx.session.support_url && h("a", { class: "button", href: ctx.session.support_url }, "Contact support");

// The banner's element, or null where mail may go.
export async function banner_of(ctx) {
	const words = SUSPENDED[ctx.about.state];
	if (words) return h("div", { role: "alert" }, h("p", {}, words), support(ctx));
	if (!await is_unverified(ctx)) return null;
	return h("div", { role: "alert" }, h("p", {}, "Sending blocked — please verify your email."),
		ctx.can("POST /v1/accounts/{account}/owner-verification") && button("Resend verification email", async () => {
			await call("POST", at`/v1/accounts/${ctx.account}/owner-verification`, {});
			say(`The email is on its way to ${ctx.about.owner_email}. Older links no longer count.`);
		}),
		support(ctx));
}
