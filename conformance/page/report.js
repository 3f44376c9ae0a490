"use strict";
// What is shown stands behind the # of the URL: v and g for verdicts and group,
// q for words, or case for one case.
const form = document.querySelector("form");
const fields = form.elements;
const cases = Array.from(document.querySelectorAll(".case"));
const words = new Map();

function textOf(one) {
	if (!words.has(one)) {
		words.set(one, (one.dataset.id + " " + one.textContent).toLowerCase());
	}
	return words.get(one);
}

function show() {
	const verdicts = new FormData(form).getAll("v");
	const group = fields.g.value;
	const query = fields.q.value.toLowerCase().split(/\s+/).filter(Boolean);
	let shown = 0;
	for (const one of cases) {
		one.hidden = !(verdicts.length === 0 || verdicts.includes(one.dataset.verdict)) ||
			group !== "" && group !== one.parentElement.dataset.group ||
			!query.every(word => textOf(one).includes(word));
		shown += one.hidden ? 0 : 1;
	}
	for (const section of document.querySelectorAll("section")) {
		section.hidden = section.querySelector(".case:not([hidden])") === null;
	}
	document.querySelector(".nothing").hidden = shown > 0;
	form.querySelector("output").textContent = shown + " of " + cases.length + " shown";
}

function remember() {
	const state = new URLSearchParams(new FormData(form));
	for (const [name, value] of Array.from(state)) {
		if (value === "") {
			state.delete(name);
		}
	}
	history.replaceState(null, "", "#" + state);
	show();
}

function recall(scroll) {
	const state = new URLSearchParams(location.hash.slice(1));
	for (const box of fields.v) {
		box.checked = state.getAll("v").includes(box.value);
	}
	fields.g.value = state.get("g") || "";
	if (fields.g.selectedIndex < 0) {
		fields.g.value = "";
	}
	fields.q.value = state.get("q") || "";
	show();
	const one = cases.find(one => one.dataset.id === state.get("case"));
	if (one) {
		one.open = true;
		one.scrollIntoView();
		one.firstElementChild.focus({preventScroll: true});
	} else if (scroll) {
		form.scrollIntoView();
	}
}

form.addEventListener("input", remember);
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("reset", () => setTimeout(remember));
fields.open.addEventListener("click", () => cases.forEach(one => { one.open = one.open || !one.hidden; }));
fields.close.addEventListener("click", () => cases.forEach(one => { one.open = false; }));
addEventListener("hashchange", () => recall(true));
addEventListener("keydown", event => {
	if (event.key === "/" && !event.target.closest("input, select")) {
		event.preventDefault();
		fields.q.focus();
	}
});
form.hidden = false;
recall(false);
