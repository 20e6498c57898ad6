// SPDX-License-Identifier: Apache-2.0
// Mailboxes: their states, who may end which, passwords that are shown once, what a device is to be told, and why mail would not go.
import { all, at, call, get, maybe } from "./api.js";
import { add, badge, button, card, copy, field, form, h, number, put, removal_card, say, table, without_commands } from "./dom.js";
import { sent_today, usage_bars } from "./overview.js";

const STATES = {
	active: ["Active", "good"], "paused-owner": ["Paused by you", "warn"], "paused-admin": ["Paused by admin", "bad"],
	"paused-abuse": ["Paused: abuse", "bad"], blocked: ["Blocked", "bad"],
};
const LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

const path_of = (ctx, address) => at`/v1/accounts/${ctx.account}/mailboxes/${address}`;

function badges(row, operator) {
	const [words, tone] = STATES[row.state] || [row.state, ""];
	return h("span", {}, badge(operator && row.state === "paused-owner" ? "Paused by owner" : words, tone), row.sandboxed && [" ", badge("Sandboxed", "warn")]);
}

// 20 letters that are not mistaken for one another, each as likely as any.
function made_password() {
	let made = "";
	while (made.length < 20) {
		const [octet] = crypto.getRandomValues(new Uint8Array(1));
		if (octet < 256 - 256 % LETTERS.length) made += LETTERS[octet % LETTERS.length];
	}
	return made;
}

const once = (address, password) => h("div", { class: "once", role: "status" }, h("p", {}, `The password of ${address}. It is shown this once:`),
	h("div", { class: "row" }, h("code", {}, password), copy(password, "the password")));

// The rows of a CSV file (RFC 4180), and which columns are meant: those that its first row names, or address and password.
function read_csv(text) {
	const rows = [];
	let row = [], cell = "", quoted = false;
	const end_row = () => {
		row.push(cell.trim());
		if (row.some(Boolean)) rows.push(row);
		row = [];
		cell = "";
	};
	for (let i = 0; i < text.length; i++) {
		const c = text[i];
		if (quoted && c === '"' && text[i + 1] === '"') cell += text[++i];
		else if (c === '"') quoted = !quoted;
		else if (quoted) cell += c;
		else if (c === "," || c === ";") row.push(cell.trim()), cell = "";
		else if (c === "\n") end_row();
		else if (c !== "\r" && c !== "\uFEFF") cell += c;
	}
	end_row();
	const named = rows.length > 0 && !rows[0][0].includes("@") ? rows.shift().map(name => name.toLowerCase()) : ["address", "password"];
	const column = (...names) => named.findIndex(name => names.includes(name));
	const address = column("address", "email", "mailbox"), password = column("password");
	return address < 0 ? [] : rows.map(cells => ({ address: cells[address] || "", password: cells[password] || "" }));
}

function import_card(ctx, on_made) {
	const place = h("div", { role: "status" });
	const file = field("CSV file", "file", { type: "file", accept: ".csv,text/csv" }, "Columns address and password; where a password is empty, one is made. Mailboxes that are there get the new password.");
	return h("section", { class: "card text" }, h("details", {}, h("summary", {}, "Import a CSV file"), form(file, "Import", async said => {
		const rows = read_csv(await said.file.text());
		if (!rows.length) throw Object.assign(new Error("No row with an address is in it"), { field: "file" });
		const results = [];
		for (const { address, password } of rows) {
			const given = password || made_password();
			put(place, h("p", {}, `${results.length + 1} of ${rows.length}: ${address}`));
			try {
				on_made(await call("PUT", path_of(ctx, address), { password: given }));
				results.push([address, password ? "as in the file" : given, "done"]);
			} catch (problem) {
				results.push([address, "-", problem.message]);
			}
		}
		const failed = results.filter(([, , words]) => words !== "done").length;
		put(place, h("p", {}, h("strong", {}, `${results.length - failed} done, ${failed} not.`), " Made passwords are shown this once."),
			table([["Address", r => r[0]], ["Password", r => h("code", {}, r[1])], ["Outcome", r => h("span", { class: r[2] === "done" ? "good" : "bad" }, r[2])]], results));
	}), place));
}

export async function mailboxes(ctx) {
	const rows = await all(`${ctx.root}/mailboxes`);
	const today = await sent_today(ctx, rows.map(({ address }) => address));
	const share = day => !day ? "not counted" : day.cap ? `${number(day.used)} of ${number(day.cap)}` : number(day.used);
	const place = h("div", {});
	const list = h("div", {});
	const draw = () => put(list, table([
		["Address", m => h("a", { href: ctx.href(at`/mailboxes/${m.address}`) }, m.address)],
		["State", m => badges(m, ctx.operator)],
		...(rows.length && !today.size ? [] : [["Today", m => share(today.get(m.address))]]),
		["Speed", m => m.rate_per_minute ? `${m.rate_per_minute} a minute` : "no limit of its own"],
		["Password", m => m.has_password ? "set" : "none: it cannot log in"],
	], rows, { empty: "No mailbox yet." }));
	draw();
	const keep = made => {
		const old = rows.findIndex(({ address }) => address === made.address);
		rows.splice(old < 0 ? rows.length : old, old < 0 ? 0 : 1, made);
		draw();
	};
	const add_form = form([
		field("Address", "address", { type: "email", required: true, spellcheck: "false" }, "In one of your domains."),
		field("Password", "password", { type: "password", autocomplete: "new-password" }, "Empty: one is made, and shown once."),
	], "Add mailbox", async (said, self) => {
		const password = said.password || made_password();
		const made = await call("PUT", path_of(ctx, said.address.trim()), { password });
		keep(made);
		put(place, said.password ? h("p", { role: "status" }, `${made.address} is there.`) : once(made.address, password));
		self.reset();
	});
	return { title: "Mailboxes", content: [h("h1", {}, "Mailboxes"), card("", list), ctx.writes && h("section", { class: "card text" }, h("h2", {}, "New mailbox"), add_form, place), ctx.writes && import_card(ctx, keep)] };
}

// What ends a state, and who may: owners end their own pauses only.
function state_card(ctx, row) {
	const box = card("State");
	const act = (text, what, body = {}) => button(text, async () => {
		const told = await call("POST", `${path_of(ctx, row.address)}/${what}`, body);
		row.state = told.state;
		box.replaceWith(state_card(ctx, row));
		say(`${row.address} is ${(STATES[told.state] || [told.state])[0].toLowerCase()}.`);
	});
	const operator = ctx.operator;
	const foreign = row.state === "paused-admin" || row.state === "paused-abuse" || row.state === "blocked";
	const actions = [];
	if (row.state === "active") actions.push(act("Pause", "pause", { by: operator ? "admin" : "owner" }));
	else if (row.state === "blocked" && operator) actions.push(act("End the block", "unblock"));
	else if (!foreign || operator) actions.push(act("Resume", "resume"));
	else actions.push(h("button", { type: "button", disabled: true, "aria-describedby": "why" }, "Resume"));
	if (operator && row.state !== "blocked") actions.push(act("Block", "block"));
	return add(box, h("p", {}, badges(row, operator)),
		row.state === "active" && h("p", {}, "It can log in and send."),
		row.sandboxed && h("p", {}, "Sandboxed: what it sends is accepted and thrown away."),
		row.state === "paused-owner" && h("p", {}, "It cannot log in until it is resumed."),
		foreign && !operator && h("p", { id: "why" }, "You cannot end this yourself: contact support. There is usually a reason."),
		ctx.writes && h("div", { class: "row" }, actions));
}

function password_card(ctx, address) {
	const place = h("div", {});
	return card("New password", h("p", {}, "Mail programs need it within a minute; the old one ends."), form([
		field("Password", "password", { type: "password", autocomplete: "new-password" }, "Empty: one is made, and shown once."),
	], "Set", async (said, self) => {
		const told = await call("POST", `${path_of(ctx, address)}/password`, said.password ? { password: said.password } : {});
		put(place, told.password ? once(address, told.password) : h("p", { role: "status" }, "The password is set."));
		self.reset();
	}), place);
}

// What a mail program is to be told; host and ports are those that the domain's SRV records name.
function devices_card(address, records) {
	const rows = records.filter(({ type }) => type === "SRV").map(({ name, value }) => {
		const [, , port, host] = value.split(" ");
		return { host: host.replace(/\.$/, ""), port, mode: name.startsWith("_submissions.") ? "SSL/TLS" : "STARTTLS" };
	});
	if (!rows.length) return null;
	return card("Devices", h("p", {}, "Outgoing mail, in any mail program:"), h("dl", {},
		h("dt", {}, "Server"), h("dd", {}, h("code", {}, rows[0].host), " ", copy(rows[0].host, "the server")),
		h("dt", {}, "User name"), h("dd", {}, h("code", {}, address), " ", copy(address, "the user name")),
		h("dt", {}, "Password"), h("dd", {}, "the mailbox's, not the one of these pages"),
		rows.map(({ port, mode }, i) => [h("dt", {}, i ? "or port" : "Port"), h("dd", {}, `${port}, ${mode}`)])));
}

const TICKS = { ok: ["✓", "good", "in order"], fail: ["✗", "bad", "stands against it"], note: ["!", "warn", "to be known"] };

function ticks(told, operator) {
	return [
		told.smtp ? h("p", {}, "A mail program hears now: ", h("code", {}, `${told.smtp.code} ${told.smtp.enhanced} ${told.smtp.text}`)) : h("p", {}, "Nothing stands against its mail."),
		h("ol", { class: "steps" }, told.checks.map(check => {
			const [mark, tone, words] = TICKS[check.status] || ["·", "", check.status];
			const todo = operator ? check.todo : check.todo && without_commands(check.todo);
			const title = check.status === "ok" ? check.finding : check.title;
			return h("li", { class: check.number === told.failing ? "fail" : undefined },
				h("span", { class: tone, role: "img", "aria-label": words }, mark), h("span", {}, `${check.number}. ${title}`), h("span", {}),
				check.status !== "ok" && h("span", { class: "under" }, check.finding, ". ", todo));
		})),
	];
}

async function explain_card(ctx, address) {
	const place = h("div", { role: "status" });
	const look = async to => {
		const query = to ? `&to=${encodeURIComponent(to)}` : "";
		put(place, ticks(await get(`${ctx.root}/explain?mailbox=${encodeURIComponent(address)}${query}`), ctx.operator));
	};
	await look("").catch(problem => put(place, h("p", {}, problem.message)));
	return card("Why is mail not sent?", place, form(field("To a recipient", "to", { type: "email" }, "Empty: to anybody."), "Look", said => look(said.to.trim())));
}

export async function mailbox(ctx, address) {
	const row = await get(path_of(ctx, address));
	const domain = row.address.slice(row.address.lastIndexOf("@") + 1);
	const [usage, records, explain] = await Promise.all([maybe(`${path_of(ctx, address)}/usage`),
		maybe(at`/v1/accounts/${ctx.account}/domains/${domain}/records`, { records: [] }), explain_card(ctx, row.address)]);
	const remove = button("Remove it", async () => {
		await call("DELETE", path_of(ctx, address));
		location.href = ctx.href("/mailboxes");
	});
	return { title: row.address, content: [h("h1", {}, row.address), h("div", { class: "cards most" },
		h("div", {}, explain, usage && card("Sent", usage_bars(usage))),
		h("div", {}, state_card(ctx, row), devices_card(row.address, records.records), ctx.writes && password_card(ctx, row.address),
			ctx.writes && removal_card("Remove this mailbox", h("p", {}, "It cannot log in any more. Its name can be used again."), remove)))] };
}
