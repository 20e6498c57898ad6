// SPDX-License-Identifier: Apache-2.0
// Opens a page in Chromium and tells, as JSON, what is on it: node look.js FILE SCHEME WIDTH [PICTURE]
const { chromium } = require("playwright-core");

(async () => {
	const [file, scheme, width, picture] = process.argv.slice(2);
	const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
	const page = await browser.newPage({ colorScheme: scheme, viewport: { width: Number(width), height: 900 } });
	const errors = [], requests = [];
	page.on("pageerror", e => errors.push(String(e)));
	page.on("console", m => m.type() === "error" && errors.push(m.text()));
	page.on("request", r => r.url().startsWith("file:") || requests.push(r.url()));
	await page.goto("file://" + file);
	const seen = await page.evaluate(() => ({
		title: document.querySelector("h1").textContent,
		sections: [...document.querySelectorAll("section h2")].map(e => e.textContent),
		plots: document.querySelectorAll("svg[role=img]").length,
		lines: [...document.querySelectorAll("svg path[stroke]")].map(e => e.getAttribute("d")),
		text: document.body.innerText,
		scripts: document.scripts.length,
		images: document.images.length,
		wide: document.documentElement.scrollWidth > innerWidth,
		colors: [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color],
		// Words of plots that lie on one another or leave their picture.
		clashes: [...document.querySelectorAll("svg")].flatMap(svg => {
			const frame = svg.getBoundingClientRect();
			const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
			return boxes.flatMap(([words, a], i) => [
				...(a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1 ? [`${svg.getAttribute("aria-label")}: ${words} outside`] : []),
				...boxes.slice(i + 1).filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
					.map(([other]) => `${svg.getAttribute("aria-label")}: ${words} on ${other}`)]);
		}),
	}));
	// The plots follow the mouse, and choices redraw them.
	const plot = page.locator("svg[role=img]").first();
	const box = await plot.boundingBox();
	await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
	seen.tip = await page.evaluate(() => document.querySelector(".tip:not([hidden])")?.innerText || "");
	const buttons = page.locator(".choice button[aria-pressed=false]");
	seen.redrawn = 0;
	for (let i = await buttons.count(); i > 0; i--) {
		const before = await page.evaluate(() => document.body.innerHTML.length);
		await buttons.nth(i % (await buttons.count())).click();
		seen.redrawn += before !== await page.evaluate(() => document.body.innerHTML.length);
	}
	await page.reload();
	if (picture) await page.screenshot({ path: picture, fullPage: true });
	await browser.close();
	console.log(JSON.stringify({ ...seen, errors, requests }));
})();
