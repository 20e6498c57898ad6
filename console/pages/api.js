// SPDX-License-Identifier: Apache-2.0
// Calls of the HTTP API. The session is in a cookie that no script can read; what a call must bear beside it is only in memory here.

let csrf = "";

// What the API said against a call: its words, the field that is meant, all mistakes of fields.
export class Problem extends Error {
	constructor(status, told) {
		const more = told.did_you_mean ? ` - did you mean ${told.did_you_mean}?` : "";
		super((told.detail || told.title || `The server answered ${status}`) + more);
		this.status = status;
		this.field = told.field;
		this.mistakes = told.mistakes || [];
	}
}

// at`/v1/accounts/${name}`: a path in which what is filled in cannot be more than one part of it.
export function at(texts, ...parts) {
	return texts.reduce((path, text, i) => path + encodeURIComponent(parts[i - 1]) + text);
}

async function ask(method, path, body, more = {}) {
	const headers = { Accept: "application/json", ...more };
	if (csrf) headers["X-Byway-CSRF"] = csrf;
	if (body !== undefined) headers["Content-Type"] = "application/json";
	let answer;
	try {
		answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
	} catch {
		throw new Problem(0, { detail: "The server cannot be reached. Nothing was changed as far as this page knows; try again." });
	}
	if (answer.ok) return answer;
	if (answer.status === 401 && csrf) throw new Problem(401, { detail: "You are signed out. Sign in again in another tab, then load this page anew: what is typed here was not saved." });
	if (answer.status === 412) throw new Problem(412, { detail: "Somebody changed this meanwhile. Load the page anew to see it as it is now; nothing was saved." });
	throw new Problem(answer.status, await answer.json().catch(() => ({})));
}

export async function call(method, path, body) {
	return (await ask(method, path, body)).json();
}

// What is there, with the tag of what was seen; and a change of it that fails with 412 where that is no longer so.
export async function get_tagged(path) {
	const answer = await ask("GET", path);
	return [await answer.json(), answer.headers.get("ETag")];
}

export async function call_if(tag, method, path, body) {
	return (await ask(method, path, body, tag ? { "If-Match": tag } : {})).json();
}

export const get = path => call("GET", path);

// What GET gives, or WITHOUT where the call fails: for what a page can do without.
export const maybe = (path, without = null) => get(path).catch(() => without);

// All items of a list, page by page.
export async function all(path) {
	const items = [];
	for (let after = ""; after !== null;) {
		const page = await get(`${path}?limit=500${after ? `&after=${encodeURIComponent(after)}` : ""}`);
		items.push(...page.items);
		after = page.next ?? null;
	}
	return items;
}

// Calls on_line with each object of an answer that comes line by line.
export async function stream(path, body, on_line) {
	const reader = (await ask("POST", path, body)).body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { value, done } = await reader.read();
		const lines = (rest + (value || (done ? "\n" : ""))).split("\n");
		rest = lines.pop();
		lines.filter(line => line.trim()).forEach(line => on_line(JSON.parse(line)));
		if (done) return;
	}
}

// Who is signed in; null for nobody.
export async function session() {
	try {
		const told = await get("/v1/session");
		csrf = told.csrf;
		return told;
	} catch (problem) {
		if (problem.status === 401) return null;
		throw problem;
	}
}

export async function sign_in(way, said) {
	sessionStorage.removeItem("calls");
	return call("POST", `/v1/sign-in/${way}`, said);
}

// Whether this API has a call: can("POST /v1/accounts/{account}/profiles/test"). Asked once after signing in.
export async function calls() {
	const kept = sessionStorage.getItem("calls");
	const known = kept ? JSON.parse(kept) : Object.entries((await maybe("/v1/openapi.json", { paths: {} })).paths)
		.flatMap(([path, methods]) => Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`));
	if (known.length) sessionStorage.setItem("calls", JSON.stringify(known));
	const set = new Set(known);
	return what => set.has(what);
}
