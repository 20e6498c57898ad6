// SPDX-License-Identifier: Apache-2.0
// Domains: whether the DNS of each says what it should, and the records to copy.
import { all, at, call, get } from "./api.js";
import { badge, button, card, copy, field, form, h, put, say, table, without_commands } from "./dom.js";

const REASONS = {
	spf: "Says which servers may send mail of this domain. Without it recipients' servers refuse or hide the mail.",
	dkim: "Proves by a signature that the mail is the domain's, unchanged.",
	dmarc: "Says what is to be done with mail that neither of the two confirms. Strongly recommended.",
	mx: "Says where mail to this domain goes, bounces too.",
};

const state_of = verified => verified ? badge("Active", "good") : badge("Domain not verified", "warn");
const path_of = (ctx, name) => at`/v1/accounts/${ctx.account}/domains/${name}`;

export async function domains(ctx) {
	const [rows, routes] = await Promise.all([all(`${ctx.root}/domains`), get(`${ctx.root}/routes`)]);
	const goes = name => routes.items.find(({ domain }) => domain === name)?.effective;
	return { title: "Domains", content: [h("h1", {}, "Domains"), card("", table([
		["Domain", d => h("a", { href: ctx.href(at`/domains/${d.name}`) }, d.name)],
		["Status", d => state_of(d.verified)],
		["Mail goes by", d => ({ native: "our servers", nowhere: "nowhere" })[goes(d.name)] || goes(d.name)],
	], rows, { empty: "No domain yet. Whoever set up your account adds them." }))] };
}

// A record's row: what there is, what should be, why.
function looked_at(record) {
	const [word, tone] = record.ok ? ["found", "good"] : record.required ? ["missing", "bad"] : ["missing", "warn"];
	const should = /^byway\s/.test(record.should) ? "" : record.should;
	return h("li", { class: "record" },
		h("div", { class: "row" }, h("strong", {}, record.record.toUpperCase()), badge(record.ok ? word : record.found ? "differs" : word, tone),
			!record.required && h("span", { class: "soft small" }, "recommended")),
		h("p", { class: "small soft" }, REASONS[record.record]),
		h("dl", {},
			h("dt", {}, "Name"), h("dd", { class: "mono" }, record.name),
			record.value && [h("dt", {}, "Found"), h("dd", { class: "mono" }, record.value)],
			!record.ok && record.why && [h("dt", {}, "But"), h("dd", {}, without_commands(record.why))],
			!record.ok && should && [h("dt", {}, "Wanted"), h("dd", {}, h("code", {}, should), " ", copy(should, `the ${record.record} record`))]));
}

const to_copy = records => table([
	["Record", r => [h("strong", {}, r.type), " ", h("span", { class: "mono" }, r.name), " ", copy(r.name, `the name of ${r.type} ${r.name}`)], "block"],
	["Value", r => [h("code", {}, r.value), " ", copy(r.value, `the value of ${r.type} ${r.name}`), r.note && h("p", { class: "small soft" }, without_commands(r.note))], "block"],
], records);

async function download_zone(ctx, name) {
	const told = await get(`${path_of(ctx, name)}/records`);
	const line = r => `${r.name}. IN ${r.type} ${r.type === "TXT" ? `"${r.value}"` : r.value}`;
	const link = h("a", { href: URL.createObjectURL(new Blob([told.records.map(line).join("\n"), "\n"], { type: "text/plain" })), download: `${name}.zone` });
	link.click();
	URL.revokeObjectURL(link.href);
}

export async function domain(ctx, name) {
	const [row, told] = await Promise.all([get(path_of(ctx, name)), get(`${path_of(ctx, name)}/records`)]);
	const status = h("span", {}, state_of(row.verified));
	const found = h("div", { role: "status" }, h("p", { class: "soft" }, ctx.writes ? "Verify DNS asks the name servers now. A change there can take an hour to be seen." : "Not asked now."));
	const verify = button("Verify DNS", async () => {
		put(found, h("p", {}, "Asking the name servers ..."));
		try {
			const seen = await call("POST", `${path_of(ctx, name)}/verify`, {});
			put(status, state_of(seen.verified));
			put(found, h("p", {}, h("strong", {}, `${seen.status}.`), seen.verified ? " All that is required was found." : " Set what is wanted at your DNS provider, then verify again."),
				h("ul", { class: "records" }, seen.records.map(looked_at)));
		} catch (problem) {
			put(found, h("p", { class: "bad" }, problem.message));
		}
	}, { class: "act" });
	return { title: name, content: [
		h("div", { class: "head" }, h("h1", {}, name, " ", status), ctx.writes && verify),
		card("What the name servers say", found),
		card("Records to set", h("p", {}, "At whoever keeps the domain's DNS."), told.note && h("p", { class: "soft" }, without_commands(told.note)), to_copy(told.records),
			h("div", { class: "row" }, button("Download as zone file", () => download_zone(ctx, name)))),
		ctx.operator && ctx.writes && h("section", { class: "card text" }, form([
			field("DKIM selector", "dkim_selector", { value: row.dkim_selector, spellcheck: "false" }, "Of the server that signs this domain's mail.")],
		"Save", async said => {
			await call("PATCH", path_of(ctx, name), said);
			say("Saved.");
		})),
	] };
}
