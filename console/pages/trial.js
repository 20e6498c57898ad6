// SPDX-License-Identifier: Apache-2.0
// The test of a profile, shown line by line as it happens: the server's own words, and one thing to do at the step that fails.
import { stream } from "./api.js";
import { h, put, say, without_commands } from "./dom.js";

const MARKS = { ok: ["✓", "good", "done"], failed: ["✗", "bad", "failed"], skipped: ["–", "soft", "skipped"] };

function step_line(step) {
	const [mark, tone, word] = MARKS[step.state] || ["·", "soft", step.state];
	return h("li", { class: step.state === "failed" ? "fail" : undefined },
		h("span", { class: tone, role: "img", "aria-label": word }, mark), h("span", {}, step.step),
		h("span", { class: "soft small" }, step.state === "skipped" ? "" : `${Math.round(step.us / 1000)} ms`),
		step.said && h("span", { class: "under mono" }, step.said));
}

function verdict(told) {
	if (told.ok) return h("p", { class: "good" }, h("strong", {}, "The profile works."), ` ${Math.round(told.us / 1000)} ms in all.`);
	return h("p", { class: "bad" }, h("strong", {}, `It fails at ${told.failed}. `), without_commands(told.action));
}

const details = lines => lines.map(line => line.step ? `${line.step}: ${line.state}${line.said ? ` ${line.said}` : ""}`
	: `${line.ok ? "works" : `fails at ${line.failed}: ${line.action}`}\n${line.capabilities ? `offers: ${line.capabilities}` : ""}`).join("\n");

// Runs it at PATH with BODY, shows it in PLACE; gives whether all went well.
export async function run_test(path, body, place) {
	const list = h("ol", { class: "steps" });
	const end = h("div", { role: "status" }, h("p", { class: "soft" }, "Trying ..."));
	const lines = [];
	let good = false;
	put(place, h("h2", {}, `Test at ${new Date().toISOString().slice(11, 19)} UTC`), list, end);
	place.hidden = false;
	place.scrollIntoView({ block: "nearest" });
	try {
		await stream(path, body, line => {
			lines.push(line);
			if (line.step && line.state !== "not reached") list.append(step_line(line));
			if ("ok" in line) {
				good = line.ok;
				put(end, verdict(line), line.certificate && h("p", { class: "small soft" }, `Certificate: ${line.certificate}`));
			}
		});
	} catch (problem) {
		put(end, h("p", { class: "bad" }, problem.message));
		throw problem;
	}
	if (lines.length) end.append(h("div", { class: "row" }, h("button", { type: "button", class: "little", onclick: async () => {
		await navigator.clipboard.writeText(details(lines));
		say("Copied.");
	} }, "Copy details")));
	return good;
}
