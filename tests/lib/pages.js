// SPDX-License-Identifier: Apache-2.0
// Walks pages in Chromium and tells, as JSON, what is on each: node pages.js BASE FOLDER < [{"link", "steps", "paths", "schemes", "widths", "axe"}, ...]
// Signs in by each LINK (none: nobody), does each step, opens each path in each scheme and width; a picture of each goes to FOLDER unless that is "-".
const fs = require("fs");
const { chromium } = require("playwright-core");

// Presses Tab until focus comes round: what it met, and what it met that does not show focus.
async function keyboard(page) {
	const met = [];
	await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
	for (let i = 0; i < 120; i++) {
		await page.keyboard.press("Tab");
		const now = await page.evaluate(() => {
			const e = document.activeElement;
			if (!e || e === document.body) return null;
			if (e.dataset.met) return null;
			e.dataset.met = "1";
			const seen = getComputedStyle(e);
			return [e.textContent.trim().slice(0, 40) || e.name || e.tagName, seen.outlineStyle !== "none" && parseFloat(seen.outlineWidth) > 0];
		});
		if (!now) break;
		met.push(now);
	}
	const all = await page.evaluate(() => [...document.querySelectorAll("a[href], button:not([disabled]), input:not([type=radio]), select, summary")]
		.filter(e => e.checkVisibility() && !e.dataset.met).map(e => e.textContent.trim().slice(0, 40) || e.name || e.tagName));
	return { met: met.map(([name]) => name), dim: met.filter(([, shown]) => !shown).map(([name]) => name), missed: all };
}

// A call as the page makes it, which must answer STATUS; its status in the console's list of errors is that.
async function called(page, method, path, status, body = {}) {
	const got = await page.evaluate(async ([method, path, body]) => {
		const { csrf } = await (await fetch("/v1/session")).json();
		return (await fetch(path, { method, headers: { "X-Byway-CSRF": csrf, "Content-Type": "application/json" }, body: method === "GET" ? undefined : JSON.stringify(body) })).status;
	}, [method, path, body]);
	if (got !== status) throw new Error(`${method} ${path} answered ${got}`);
}

// One step of a person: what is pressed, typed, chosen, and what must be seen then.
async function step(page, base, [verb, what, value, status, body]) {
	const by = what => page.getByRole("button", { name: what, exact: true }).or(page.getByRole("link", { name: what, exact: true })).first();
	const label = what => page.getByLabel(what, { exact: true }).first();
	if (verb === "press") await by(what).click();
	else if (verb === "type") await label(what).fill(value);
	else if (verb === "choose") await label(what).selectOption(value);
	else if (verb === "mark") await label(what).check();
	else if (verb === "open") await page.goto(base + what).then(() => page.waitForFunction(() => "ready" in document.body.dataset));
	else if (verb === "see") await page.getByText(what).filter({ visible: true }).first().waitFor();
	else if (verb === "file") await label(what).setInputFiles({ name: "mailboxes.csv", mimeType: "text/csv", buffer: Buffer.from(value) });
	else if (verb === "unfold") await page.locator("summary", { hasText: what }).click();
	else if (verb === "offline") await page.context().setOffline(what);
	else if (verb === "off") await page.locator("button[disabled]").filter({ hasText: what }).waitFor();
	else if (verb === "call") await called(page, what, value, status, body);
	else if (verb === "picture") { if (value !== "-") await page.screenshot({ path: `${value}/${what}.png`, fullPage: true }); }
	else throw new Error(`no such step: ${verb}`);
}

(async () => {
	const [base, folder] = process.argv.slice(2);
	const walks = JSON.parse(fs.readFileSync(0));
	const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
	const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
	const told = [];
	for (const walk of walks) {
		// A page's policy holds for what we add to it, too, unless it is told otherwise: axe goes in beside it.
		const context = await browser.newContext({ reducedMotion: "reduce" });
		const page = await context.newPage();
		let errors = [];
		page.on("pageerror", e => errors.push(String(e)));
		page.on("console", m => ["error", "warning"].includes(m.type()) && errors.push(m.text()));
		page.on("request", r => r.url().startsWith(base) || r.url().startsWith("data:") || errors.push(`asked ${r.url()}`));
		const ready = () => page.waitForFunction(() => "ready" in document.body.dataset || /^Not /.test(document.title), null, { timeout: 60000 });
		if (walk.link) {
			await page.goto(walk.link);
			await page.waitForURL(url => !url.pathname.startsWith("/sign-in"), { timeout: 60000 });
			await ready();
		}
		page.setDefaultTimeout(60000);
		for (const one of walk.steps || []) {
			await step(page, base, one[0] === "picture" ? [...one, folder] : one)
				.catch(async e => { throw new Error(`${one}: ${e.message}\n${await page.evaluate(() => document.body.innerText)}`); });
		}
		if (walk.steps) told.push({ name: walk.name, url: page.url(), text: await page.evaluate(() => document.body.innerText), errors });
		for (const path of walk.paths || []) for (const scheme of walk.schemes || ["light"]) for (const width of walk.widths || [1440]) {
			errors = [];
			await page.emulateMedia({ colorScheme: scheme });
			await page.setViewportSize({ width, height: 900 });
			await page.goto("about:blank"); // else only what stands behind # would change
			await page.goto(base + path);
			await ready();
			const seen = await page.evaluate(() => ({
				title: document.title,
				banner: document.querySelector("#banner").innerText.trim(),
				text: document.querySelector("main").innerText,
				wide: document.documentElement.scrollWidth - innerWidth,
				// Tables that must be scrolled, which only those that Tab reaches may.
				cut: [...document.querySelectorAll(".wide:not([tabindex])")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 60)),
				scripts: [...document.scripts].filter(s => !s.src).length,
				styles: document.querySelectorAll("style, [style]").length,
			}));
			if (folder !== "-") await page.screenshot({ path: `${folder}/${(walk.name || "") + path.split("#")[0].replace(/[^a-z0-9]+/gi, "_")}-${scheme}-${width}.png`, fullPage: true });
			const mistakes = walk.axe === false ? [] : await page.evaluate(`${axe}\naxe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 160) + " " + (n.any[0]?.message || ""))]))`);
			const keys = walk.keyboard ? await keyboard(page) : null;
			told.push({ path, scheme, width, ...seen, axe: mistakes, keys, errors });
		}
		await context.close();
	}
	await browser.close();
	console.log(JSON.stringify(told));
})().catch(e => { console.error(e); process.exit(1); });
