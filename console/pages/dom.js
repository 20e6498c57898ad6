// SPDX-License-Identifier: Apache-2.0
// Elements, and what pages are made of. Text is only ever text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
	for (const [name, value] of Object.entries(props || {})) {
		if (value === undefined || value === null || value === false) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "value") element.value = value;
		else element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat(9).filter(child => child !== null && child !== undefined && child !== false));
	return element;
}

export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);
export const add = (where, ...children) => fill(where, {}, children);
export const put = (where, ...children) => (where.replaceChildren(), add(where, ...children));

let clearing;
// Says TEXT in the page's status line, which screen readers read out.
export function say(text) {
	const line = document.getElementById("said");
	line.textContent = text;
	clearTimeout(clearing);
	clearing = setTimeout(() => { line.textContent = ""; }, 8000);
}

export const card = (title, ...children) => h("section", { class: "card" }, title && h("h2", {}, title), ...children);
// What cannot be undone: opened first, then pressed.
export const removal_card = (title, ...children) => h("section", { class: "card text" }, h("details", {}, h("summary", {}, title), ...children));
export const badge = (text, tone = "") => h("span", { class: `badge ${tone}` }, text);

// A button that does ACTION, is off meanwhile, and says what stood against it.
export function button(text, action, props = {}) {
	return h("button", { type: "button", ...props, onclick: async event => {
		const self = event.currentTarget;
		self.disabled = true;
		try {
			await action(self);
		} catch (problem) {
			say(problem.message);
		} finally {
			self.disabled = false;
		}
	} }, text);
}

export const copy = (text, what) => button("Copy", async self => {
	await navigator.clipboard.writeText(text);
	self.textContent = "Copied";
	setTimeout(() => { self.textContent = "Copy"; }, 2000);
}, { class: "little", "aria-label": `Copy ${what}` });

// A table. COLUMNS: [name, cell of a row, class]; on a phone each row becomes a block unless DENSE. The roles are said because what
// is laid out as blocks is no table to screen readers otherwise.
export function table(columns, rows, { dense = false, caption = "", empty = "Nothing yet." } = {}) {
	if (!rows.length) return h("p", { class: "soft" }, caption && h("strong", {}, `${caption}: `), empty);
	const title = ([name, , kind]) => h("th", { scope: "col", role: "columnheader", class: kind === "n" ? "n" : undefined }, name);
	const line = row => h("tr", { role: "row" }, columns.map(([name, cell, kind]) => h("td", { role: "cell", "data-name": name, class: kind }, cell(row))));
	// What may be wider than the page is scrolled by the keyboard, too.
	const wide = dense ? { class: "wide", tabindex: 0, role: "group", "aria-label": caption } : { class: "wide" };
	return h("div", wide, h("table", { role: "table", class: dense ? "dense" : "rows" }, caption && h("caption", {}, caption),
		h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(title))), h("tbody", { role: "rowgroup" }, rows.map(line))));
}

// How much of a limit is used: green to 80 %, amber to 95, red.
export function bar(title, used, cap, when) {
	const share = Math.min(1, used / cap);
	const tone = share > .95 ? "bad" : share > .8 ? "warn" : "good";
	const words = `${number(used)} of ${number(cap)}${when ? `, ${when}` : ""}`;
	return h("div", { class: "bar" },
		h("div", {}, h("strong", {}, title), h("span", { class: "soft" }, words)),
		svg("svg", { class: tone, role: "img", "aria-label": `${title}: ${words}` },
			svg("rect", { class: "back", width: "100%", height: 10, rx: 5 }),
			svg("rect", { width: `${used ? Math.max(1, share * 100) : 0}%`, height: 10, rx: 5 })));
}

// A form's field: [label, control, what is to be known of it]. The place for its mistake is made here.
export function field(label, name, props = {}, note = "") {
	const control = props.options
		? h("select", { ...props, options: undefined, value: undefined, id: `f-${name}`, name },
			props.options.map(([value, text]) => h("option", { value, selected: value === props.value }, text)))
		: h("input", { type: "text", autocomplete: "off", ...props, id: `f-${name}`, name, "aria-describedby": `w-${name} n-${name}` });
	const wrong = h("p", { class: "wrong", id: `w-${name}`, role: "alert" });
	const told = note && h("p", { class: "soft", id: `n-${name}` }, note);
	if (props.type === "checkbox") return h("div", { class: "field" }, h("label", { class: "check" }, control, label), wrong, told);
	return h("div", { class: "field" }, h("label", { for: `f-${name}` }, label), control, wrong, told);
}

// Shows PROBLEM at the fields of FORM that it names, the rest in the form's own line.
export function show_problem(form, problem) {
	clear_problem(form);
	// Each is "field: sentence".
	const told = problem.mistakes?.length ? problem.mistakes : [problem.field && !problem.message.startsWith(`${problem.field}: `)
		? `${problem.field}: ${problem.message}` : problem.message];
	const rest = [];
	for (const sentence of told) {
		const name = sentence.match(/^(\w+): /)?.[1];
		const detail = name ? sentence.slice(name.length + 2) : sentence;
		const control = name && form.elements[name];
		const place = name && form.querySelector(`#w-${CSS.escape(name)}`);
		if (control && place) {
			control.setAttribute("aria-invalid", "true");
			place.textContent = detail;
			control.closest("details")?.setAttribute("open", "");
		} else {
			rest.push(sentence);
		}
	}
	form.querySelector(".all-wrong").textContent = rest.join(" ");
	form.querySelector("[aria-invalid]")?.focus();
}

export function clear_problem(form) {
	form.querySelectorAll("[aria-invalid]").forEach(control => control.removeAttribute("aria-invalid"));
	form.querySelectorAll(".wrong").forEach(place => { place.textContent = ""; });
}

// A form that calls ACTION with its values once, and shows what stood against it.
export function form(fields, text, action, ...more) {
	const send = h("button", { class: "act" }, text);
	return h("form", { novalidate: true, onsubmit: async event => {
		event.preventDefault();
		const self = event.currentTarget;
		send.disabled = true;
		clear_problem(self);
		try {
			await action(values(self), self);
		} catch (problem) {
			show_problem(self, problem);
		} finally {
			send.disabled = false;
		}
	} }, fields, h("p", { class: "wrong all-wrong", role: "alert" }), h("div", { class: "row" }, send, ...more));
}

export const values = form => Object.fromEntries(new FormData(form));

export const number = n => Number(n).toLocaleString("en");
const two = n => String(n).padStart(2, "0");

// Advice of the tool for who has no shell: without its commands.
export const without_commands = text => text.replace(/\s*\([^()]*byway[^()]*\)/g, "")
	.replace(/\s*[;,:]?[^;,:.()]*\bbyway\s.*?(?=[.;](?:\s|$)|$)/g, "").replace(/^[.;\s]+/, "");

// A moment of the API, seconds or ISO, as UTC: the hour alone when it is today.
export function moment(when) {
	if (!when) return "never";
	const date = new Date(typeof when === "number" ? when * 1000 : when);
	const hour = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
	const day = `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
	return day === new Date().toISOString().slice(0, 10) ? `${hour} UTC` : `${day} ${hour} UTC`;
}

// A moment of the next hours, by the hour alone; later ones with their day.
export function clock(when) {
	const date = new Date(when * 1000);
	return date - Date.now() > 86400000 ? moment(when) : `${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`;
}

export function ago(when) {
	const days = Math.floor((Date.now() - new Date(when)) / 86400000);
	return days < 1 ? "today" : days === 1 ? "yesterday" : `${days} days ago`;
}
