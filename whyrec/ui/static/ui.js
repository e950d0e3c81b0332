// The little the pages need beyond links and forms: keys, the theme, live parts, narrowing a list, edit in place.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => !row.hidden && row.offsetParent);
  const follow = (selector) => one(selector)?.click();

  // --- theme: kept in a cookie, so that the server draws the page in it from the start
  const theme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `whyrec_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
  };

  // --- a list is walked with j and k
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.classList.contains("here"));
    const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
    all[now]?.classList.remove("here");
    next.classList.add("here");
    next.scrollIntoView({ block: "nearest" });
    next.querySelector("a[href]")?.focus({ preventScroll: true });
  };
  const tick = () => {
    const box = one(".here input[type=checkbox]");
    if (box) box.checked = !box.checked;
  };
  const edit = () => {
    const form = one("#again");
    if (!form) return;
    form.open = true;
    form.scrollIntoView();
    const boxes = form.querySelectorAll("textarea");
    boxes[boxes.length - 1]?.focus({ preventScroll: true });
  };

  const keys = {
    "/": () => { one("[data-search]")?.focus(); one("[data-search]")?.select(); },
    j: () => move(1), k: () => move(-1), x: tick, e: edit, t: theme,
    "[": () => follow("a[rel=prev]"), "]": () => follow("a[rel=next]"), u: () => follow("a[rel=up]"),
    g: () => follow("[data-key=g]"), b: () => follow("[data-key=b]"),
    "?": () => one("#keys").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
    if (event.key === "Escape" && typing) { typing.blur(); return; }
    if (typing || one("dialog[open]") || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) theme();
    if (event.target.closest("[data-keys]")) one("#keys").showModal();
    const copied = event.target.closest("[data-copy]");
    if (copied) copy(copied);
    if (event.target.closest("[data-edit]")) { event.preventDefault(); edit(); }
  });

  // --- a text is copied; where the clipboard is shut (no TLS, not loopback), it is selected instead
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
  };

  // --- a list is narrowed to the rows that hold what is typed
  document.addEventListener("input", (event) => {
    const id = event.target.dataset?.filter;
    if (id) narrow(id, event.target.value);
  });
  const narrow = (id, text) => {
    const words = text.toLowerCase().split(/\s+/);
    for (const row of document.querySelectorAll(`#${CSS.escape(id)} [data-row]`)) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    }
  };

  // --- a form leaves out what is empty, so that its address says only what is asked
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "get") return;
    for (const field of event.target.elements) {
      if (field.name && field.value === "") field.disabled = true;
      if (field.name === "sort" && field.value === "call") field.disabled = true;
    }
  });
  addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("form:not([method=post]) :disabled")) field.disabled = false;
  });

  // --- what is live is fetched again: the server draws, the parts are put in place
  const refresh = async () => {
    const every = Number(document.body.dataset.live);
    if (!every) return;
    if (document.hidden) { setTimeout(refresh, every); return; }
    try {
      const answer = await fetch(location.href, { headers: { "x-whyrec-live": "1" } });
      if (answer.ok) swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { /* the server is gone for a moment; the page stays as it is */ }
    setTimeout(refresh, every);
  };
  const swap = (fresh) => {
    const old = document.querySelectorAll("[data-swap]");
    if (fresh.querySelectorAll("[data-swap]").length !== old.length || [...old].some((part) => !fresh.getElementById(part.id))) {
      location.reload();
      return;
    }
    const ticked = new Set([...document.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value));
    const here = one(".here")?.id;
    for (const part of old) {
      if (!part.contains(document.activeElement) || document.activeElement.closest("[data-row]")) {
        part.replaceChildren(...fresh.getElementById(part.id).childNodes);
      }
    }
    for (const box of document.querySelectorAll("[data-swap] input[type=checkbox]")) box.checked = ticked.has(box.value);
    if (here) document.getElementById(here)?.classList.add("here");
    const filter = one("[data-filter]");
    if (filter?.value) narrow(filter.dataset.filter, filter.value);
    if (fresh.body.dataset.live) document.body.dataset.live = fresh.body.dataset.live;
    else delete document.body.dataset.live;
  };
  setTimeout(refresh, Number(document.body.dataset.live) || 0);

  // --- what is wider than its place says so, until it has been scrolled to its end
  const cut = (box) => box.toggleAttribute("data-cut", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
  const wide = () => document.querySelectorAll(".scroll").forEach(cut);
  document.addEventListener("scroll", (event) => { if (event.target.classList?.contains("scroll")) cut(event.target); }, true);
  addEventListener("resize", wide);
  document.addEventListener("toggle", wide, true);
  wide();

  if (location.hash.startsWith("#replay-")) one(location.hash)?.scrollIntoView();
  if (location.hash === "#again") edit();
})();
