// Keeps a page up to date: counts its clocks, follows the stream of changes, puts the viewer's time first, and knows some
// keys. A page is complete without it.
"use strict";
(() => {
  const root = document.documentElement;
  const chinese = root.lang === "zh";
  const say = (english, other) => (chinese ? other : english);

  // ---- time ----

  let began, loaded, pace;
  const asOf = () => {
    // A refusal tells of nothing.
    const it = document.getElementById("as-of")?.dataset ?? { now: new Date().toISOString(), speed: 1 };
    [began, pace, loaded] = [Date.parse(it.now), Number(it.speed), performance.now()];
  };
  const now = () => began + (performance.now() - loaded) * pace;

  const counted = (ms) => {
    const all = Math.floor(Math.max(ms, 0) / 1000);
    const two = (n) => String(n).padStart(2, "0");
    const [d, h, m, s] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
    if (d > 0) return `${d}d ${two(h)}:${two(m)}:${two(s)}`;
    return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };

  const count = () => {
    for (const clock of document.querySelectorAll("time[data-deadline]")) {
      const left = Date.parse(clock.dataset.deadline) - now();
      clock.classList.toggle("over", left <= 0);
      const length = counted(Math.abs(left));
      clock.textContent = left > 0 ? say(`${length} left`, `剩余 ${length}`) : say(`${length} over`, `超时 ${length}`);
    }
    for (const age of document.querySelectorAll("time[data-since]")) {
      age.textContent = counted(now() - Date.parse(age.dataset.since));
    }
  };

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const own = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
  const elsewhere = zone && zone !== root.dataset.zone;
  const bringHome = () => {
    if (!elsewhere) return;
    for (const time of document.querySelectorAll("time:not([data-deadline]):not([data-since]):not([data-home])")) {
      const there = document.createElement("span");
      there.className = "there";
      there.textContent = `${time.textContent} ${root.dataset.zone}`;
      time.replaceChildren(own.format(new Date(time.dateTime)), there);
      time.dataset.home = "";
    }
    const told = document.getElementById("own-zone");
    if (told) told.textContent = say(`, yours (${zone}) come first`, `，您所在时区（${zone}）在前`);
  };

  // ---- news ----

  const lost = document.getElementById("lost");
  const parts = () => [...document.querySelectorAll("[data-live]")];
  const seen = new Map(parts().map((part) => [part.id, part.innerHTML]));

  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      if (!next || next.innerHTML === seen.get(part.id)) continue;
      const held = document.activeElement;
      // What somebody writes into is left alone.
      if (part.contains(held) && held.matches("input, textarea, select")) continue;
      const back = part.contains(held) ? held.getAttribute("href") : null;
      const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
      seen.set(part.id, next.innerHTML);
      for (const { name, value } of next.attributes) part.setAttribute(name, value);
      part.replaceChildren(...next.childNodes);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (back) part.querySelector(`a[href="${CSS.escape(back)}"]`)?.focus();
    }
    document.title = fresh.title;
    asOf();
    count();
    bringHome();
  };

  let since = null;
  const late = (is) => {
    if (is && since === null) since = new Date();
    if (!is) since = null;
    lost.hidden = since === null;
    if (since) lost.querySelector("b").textContent = own.format(since);
  };

  let [busy, again] = [false, false];
  const refresh = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) swap(await answer.text());
      late(!answer.ok);
    } catch {
      late(true);
    }
    // At most so often, however much happens.
    setTimeout(() => {
      busy = false;
      if (again) {
        again = false;
        refresh();
      }
    }, 400);
  };

  const follow = () => {
    const stream = new EventSource("/api/v1/stream");
    stream.addEventListener("incident", refresh);
    stream.addEventListener("reset", refresh);
    // What came about since the page was made, or while there was no connection.
    stream.onopen = refresh;
    stream.onerror = () => {
      late(true);
      // The browser tries again by itself, unless it was refused.
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
    };
    addEventListener("pagehide", () => stream.close());
  };

  // ---- keys ----

  const help = document.getElementById("help");
  const rows = () => [...document.querySelectorAll("a[data-row]")];
  const step = (by) => {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  };
  const search = () => {
    const field = document.querySelector("[role=search] input");
    if (field) field.select();
    else location.assign("/services#search");
  };
  let going = false;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select") || help.open) return;
    const key = event.key;
    if (going) {
      going = false;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(key)}"]`);
      if (link) location.assign(link.href);
      return;
    }
    const does = {
      g: () => (going = true),
      "/": search,
      "?": () => help.showModal(),
      j: () => step(1),
      k: () => step(-1),
      w: () => location.assign(root.classList.contains("wall") ? "/" : "/?wall=1"),
      a: () => {
        const deed = document.getElementById("do-acknowledge");
        if (!deed) return;
        deed.open = true;
        (deed.querySelector("input[name=by]:placeholder-shown") || deed.querySelector("input[name=detail]")).focus();
      },
    }[key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  const keys = document.getElementById("keys");
  keys.hidden = false;
  keys.addEventListener("click", () => help.showModal());
  if (location.hash === "#search") search();

  asOf();
  count();
  bringHome();
  setInterval(count, 1000);
  // Figures of windows move even where nothing happens.
  setInterval(refresh, 30000);
  // The frame has one part that lives.
  if (parts().length > 1) follow();
})();
