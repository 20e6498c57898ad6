// SPDX-License-Identifier: Apache-2.0
// For operators: what the daemon does, all accounts, the story of a message, the configuration.
import { all, call, get } from "./api.js";
import { badge, button, card, field, h, moment, number, put, say, table, values } from "./dom.js";

const NAMES = {
	connections_accepted: "Connections", connections_refused: "refused", connections_shed: "shed", connections_no_fds: "no descriptors",
	tls_handshakes: "TLS", tls_handshakes_failed: "TLS failed", auth_ok: "Log-ins", auth_failed: "failed", auth_delayed: "delayed", auth_turned_away: "turned away",
	messages_sent: "Messages sent", messages_refused: "refused", messages_deferred: "deferred", messages_unknown: "outcome not known",
	recipients_accepted: "Recipients", content_octets: "Octets of content", bad_commands: "Bad commands", worker_deaths: "Deaths of workers",
};
const GROUPS = [["connections_", "tls_"], ["auth_", "bad_"], ["messages_", "recipients_", "content_"]];
const BAD = /failed|refused|unknown|deaths|shed|no_fds|log_lost|turned_away/;

function lasted(seconds) {
	const days = Math.floor(seconds / 86400), hours = Math.floor(seconds / 3600) % 24, minutes = Math.floor(seconds / 60) % 60;
	return days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

const count = (n, bad) => h("span", { class: bad && n > 0 ? "bad" : undefined }, number(n));

function workers(told) {
	return table([
		["Worker", w => w.number, "n"], ["pid", w => w.pid, "n"],
		["State", w => w.answered ? h("span", { class: w.state === "up" ? "good" : "warn" }, w.state) : h("span", { class: "bad" }, "silent")],
		["Sessions", w => number(w.sessions), "n"], ["Worst turn", w => `${(w.worst_us / 1000).toFixed(1)} ms`, "n"],
		["Deaths", w => count(w.deaths, true), "n"], ["Log lost", w => count(w.log_lost, true), "n"],
		["Messages", w => number(w.relay?.messages ?? 0), "n"], ["Under way", w => number(w.relay?.transactions ?? 0), "n"],
		["Upstreams", w => number(w.relay?.upstreams ?? 0), "n"], ["idle", w => number(w.relay?.idle ?? 0), "n"], ["waiting", w => number(w.relay?.waiting ?? 0), "n"],
		["Connected", w => number(w.relay?.connections_opened ?? 0), "n"], ["failed", w => count(w.relay?.connections_failed ?? 0, true), "n"],
		["Counters", w => w.counters?.backend ?? "-"],
	], told.workers, { dense: true, caption: "Workers" });
}

const mtas = told => {
	const rows = told.workers.flatMap(worker => (worker.relay?.mtas || []).map(mta => ({ worker: worker.number, ...mta })));
	return rows.length > 0 && table(Object.keys(rows[0]).map(key => [key.replace(/_/g, " "), mta => String(mta[key]), /said|words|line/.test(key) ? "words" : undefined]), rows, { dense: true, caption: "Native servers" });
};

function counters(told) {
	const group = prefixes => Object.entries(told.counters).filter(([name]) => prefixes.some(prefix => name.startsWith(prefix)));
	return h("div", { class: "cards three" }, GROUPS.map(prefixes => h("dl", { class: "tight" }, group(prefixes).map(([name, n]) =>
		[h("dt", {}, NAMES[name] || name.replace(/_/g, " ")), h("dd", {}, count(n, BAD.test(name)))]))));
}

function replies(told) {
	const rows = Object.entries(told.counters).filter(([name, n]) => name.startsWith("replies_") && n > 0).sort(([, a], [, b]) => b - a);
	return table([["Reply", ([name]) => name.slice(8)], ["Times", ([, n]) => number(n), "n"]], rows, { dense: true, caption: "Replies since the start" });
}

function listeners(config) {
	const rows = (config.listener || []).flatMap(one => one.address.map(address => ({ ...one, address })));
	return table([["Listener", one => one.name], ["Address", one => h("span", { class: "mono" }, one.address)], ["TLS", one => one.tls || "STARTTLS"]], rows, { dense: true, caption: "Listeners" });
}

function certificates(config) {
	return table([["Certificate", one => one.name], ["Chain", one => h("span", { class: "mono" }, one.chain_file), "words"]], config.certificate || [], { dense: true, caption: "Certificates" });
}

function reloaded(told) {
	if (!told.reload) return "none since the start";
	return Object.entries(told.reload).map(([name, value]) => `${name.replace(/_/g, " ")}: ${typeof value === "number" && value > 1e9 ? moment(value) : value}`).join(", ");
}

const head = told => h("dl", { class: "tight" },
	h("dt", {}, "State"), h("dd", {}, badge(told.state, told.state === "up" ? "good" : "warn"), ` version ${told.version}, for ${lasted(told.uptime_s)}`),
	h("dt", {}, "Sessions"), h("dd", {}, `${number(told.gauges.sessions_open)} open, ${number(told.gauges.sessions_authenticated)} logged in, ${number(told.gauges.transactions_open)} with mail under way`),
	h("dt", {}, "Directory"), h("dd", {}, `revision ${told.revision}`),
	h("dt", {}, "Reload"), h("dd", {}, reloaded(told)),
	h("dt", {}, "Log lost"), h("dd", {}, count(told.log_lost, true)));

export async function ops(ctx) {
	const { config } = await get("/v1/config");
	const place = h("div", {});
	const draw = async () => {
		try {
			const told = await get("/v1/status");
			put(place, card("", head(told)), card("", workers(told), mtas(told)), card("Since the start", counters(told)),
				h("div", { class: "cards two" }, card("", replies(told)), h("div", {}, card("", listeners(config)), card("", certificates(config)))));
		} catch (problem) {
			put(place, h("section", { class: "card" }, h("p", { class: "bad" }, "The daemon does not answer: ", problem.message)));
		}
	};
	await draw();
	let timer = 0;
	const refresh = h("label", { class: "check" }, h("input", { type: "checkbox", onchange: event => {
		clearInterval(timer);
		timer = event.target.checked ? setInterval(draw, 5000) : 0;
	} }), "Anew every 5 seconds");
	return { title: "Operations", content: [
		h("div", { class: "head" }, h("h1", {}, "Operations"), h("div", { class: "row" }, refresh, ctx.writes && button("Reload the configuration", async () => {
			await call("POST", "/v1/reload");
			await draw();
			say("Reloaded.");
		}))), place] };
}

const SHOWN_MAX = 200;

export async function accounts() {
	const rows = await all("/v1/accounts");
	const place = h("div", {});
	const count_line = h("p", { class: "soft small", role: "status" });
	const draw = wanted => {
		const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
		const found = rows.filter(row => words.every(word => `${row.name} ${row.owner_email} ${row.plan} ${row.state}`.toLowerCase().includes(word)));
		put(place, table([
			["Account", a => h("a", { href: `/ops/accounts/${encodeURIComponent(a.name)}` }, a.name)],
			["Plan", a => a.plan],
			["State", a => badge(a.state, a.state === "active" ? "good" : "bad")],
			["Owner", a => h("span", {}, a.owner_email || "not told", !a.owner_verified && [" ", h("span", { class: "warn small" }, "not confirmed")])],
			["Since", a => a.registered?.slice(0, 10) || "-", "day"],
		], found.slice(0, SHOWN_MAX), { empty: "No account has that in its name, owner, plan or state." }));
		count_line.textContent = `${number(found.length)} of ${number(rows.length)} accounts${found.length > SHOWN_MAX ? `, the first ${SHOWN_MAX} shown` : ""}`;
	};
	draw("");
	return { title: "Accounts", content: [h("h1", {}, "Accounts"), card("",
		h("div", { class: "field" }, h("label", { for: "search" }, "Search"), h("input", { id: "search", type: "search", autocomplete: "off", oninput: event => draw(event.target.value) }),
			h("p", { class: "soft" }, "Name, owner, plan or state.")), count_line, place)] };
}

const rest_of = line => Object.entries(line).filter(([name, value]) => !["ts", "level", "proc", "ev", "id", "at"].includes(name) && value !== "").map(([name, value]) => `${name}=${value}`).join(" ");

export async function trace() {
	const id = new URLSearchParams(location.search).get("id") || "";
	const place = h("div", {});
	if (id) {
		try {
			const { lines } = await get(`/v1/trace?id=${encodeURIComponent(id)}`);
			put(place, card("", table([
				["When", line => line.ts.slice(11, 23)], ["Event", line => line.ev], ["Id", line => line.id], ["While", line => line.at],
				["And", line => h("span", { class: "mono" }, rest_of(line)), "block"],
			], lines, { caption: `Story of ${id}` })));
		} catch (problem) {
			put(place, card("", h("p", { class: "bad" }, problem.message)));
		}
	}
	return { title: "Trace", content: [h("h1", {}, "Trace"), card("", h("form", { onsubmit: event => {
		event.preventDefault();
		location.search = `?id=${encodeURIComponent(values(event.currentTarget).id.trim())}`;
	} }, field("Id of a message or a session", "id", { value: id, spellcheck: "false" }, "It stands in each reply, in Received: and in the log."), h("div", { class: "row" }, h("button", { class: "act" }, "Show")))), place] };
}

export async function config() {
	const { file, config: told } = await get("/v1/config?changed=1");
	const text = value => Array.isArray(value) ? value.join(" ") : String(value);
	const one = (name, keys) => h("section", { class: "block" }, h("h2", { class: "mono" }, `[${name}]`), h("dl", { class: "tight" },
		Object.entries(keys).filter(([key]) => key !== "name").map(([key, value]) => [h("dt", { class: "mono" }, key), h("dd", { class: "mono" }, text(value))])));
	const sections = Object.entries(told).flatMap(([name, keys]) => Array.isArray(keys) ? keys.map(each => one(`${name} ${each.name}`, each))
		: Object.keys(keys).length ? [one(name, keys)] : []);
	return { title: "Configuration", content: [h("h1", {}, "Configuration"),
		card("", h("p", {}, "What differs from the defaults in ", h("code", {}, file), ", as the file says it now. It is changed there, then reloaded."), sections)] };
}

// What operators do to an account; stands on its first page.
export function account_actions(ctx) {
	const box = h("section", { class: "card" }, h("h2", {}, "For operators"));
	const act = (text, path, body, done) => button(text, async () => {
		await call("POST", `${ctx.root}/${path}`, body);
		say(done);
		location.reload();
	});
	const state = ctx.about.state;
	box.append(h("p", {}, "State: ", badge(state, state === "active" ? "good" : "bad"), ctx.about.owner_verified ? "" : " The owner's address is not confirmed."));
	if (!ctx.writes) return box;
	const reason = h("select", { "aria-label": "Reason" }, ["billing", "deliverability", "abuse"].map(word => h("option", { value: word }, word)));
	const row = h("div", { class: "row" });
	if (state === "active") row.append(reason, button("Suspend", async () => {
		await call("POST", `${ctx.root}/suspend`, { reason: reason.value });
		location.reload();
	}));
	else row.append(act("Resume the account", "resume", {}, "Resumed."));
	if (!ctx.about.owner_verified) row.append(act("Confirm the owner's address", "verify-owner", {}, "Confirmed."));
	row.append(act("Reset its limits", "limits/reset", {}, "Its counters are at 0."));
	box.append(row);
	return box;
}
