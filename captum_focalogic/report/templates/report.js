"use strict";
(() => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // Rows of packed bits, column j in bit j % 8 of byte j >> 3.
  const rows = (text, width) => {
    const all = bytes(text);
    const count = width ? all.length / width : 0;
    return Array.from({ length: count }, (_, row) => all.subarray(row * width, (row + 1) * width));
  };
  const keyOf = (row) => String.fromCharCode(...row);
  const bit = (row, column) => (row[column >> 3] >> (column & 7)) & 1;
  const within = (inner, outer) => inner.every((byte, place) => (byte & ~outer[place]) === 0);
  const apart = (one, other) => one.every((byte, place) => (byte & other[place]) === 0);
  const percent = (share) => {
    if (share > 0 && share < 0.001) return "less than 0.1 %";
    return share < 0.995 ? `${Number((100 * share).toPrecision(2))} %` : `${Math.round(100 * share)} %`;
  };
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

  class Entry {
    constructor(root) {
      this.root = root;
      this.data = JSON.parse(root.querySelector("[data-payload]").textContent);
      this.count = this.data.regions.length;
      this.pending = root.hasAttribute("data-pending");
      this.width = Math.ceil(this.count / 8);
      this.states = rows(this.data.states, this.width);
      this.kept = this.opening();
      this.necessary = rows(this.data.necessary, this.width);
      this.readAnswers(this.data.answers);
      this.readFurther(this.data.further);
      this.shared = this.kept.map((_, column) => this.states.length > 0 && this.states.every((row) => bit(row, column)));
      this.groups();
      this.listen();
      this.root.addEventListener("answered", ({ detail }) => this.learn(detail.kept, detail.answer));
      this.root.addEventListener("keep", ({ detail }) => this.keep([...detail]));
      this.root.querySelector("[data-verdict]").hidden = false;
      const more = this.root.querySelector(".show-more");
      if (more) more.hidden = false;
      this.root.querySelectorAll(".graph [data-region]").forEach((node) => {
        if (this.shared[node.dataset.region]) node.classList.add("shared");
      });
      this.show();
    }

    readAnswers(answers) {
      this.answers = new Map(rows(answers.states, this.width).map((row, place) => [keyOf(row), place]));
      this.valid = bytes(answers.valid);
      const numbers = (text) => (text ? new DataView(bytes(text).buffer) : null);
      this.scores = numbers(answers.scores);
      this.probabilities = numbers(answers.probabilities);
    }

    // The strongest set, where there is one in this file; else the whole image.
    opening() {
      const whole = new Array(this.count).fill(true);
      const strongest = this.data.strongest;
      return strongest === null ? whole : whole.map((_, column) => Boolean(bit(this.states[strongest], column)));
    }

    // Answers that come with their classes.
    readFurther(further) {
      this.further = new Map();
      if (further === null) return;
      const valid = bytes(further.valid);
      rows(further.states, this.width).forEach((row, place) => {
        const top = further.tops[place].map(([at, share]) => ({ index: further.classes[at][0], name: further.classes[at][1], share }));
        this.further.set(keyOf(row), { valid: Boolean(bit(valid, place)), top });
      });
    }

    // One tab stop a group; arrow keys move inside it.
    groups() {
      const image = [...this.root.querySelectorAll("[data-image] .region")]
        .sort((one, other) => one.dataset.region - other.dataset.region);
      this.rove(image, (from, key) => this.neighbour(Number(from.dataset.region), key, image));
      for (const selector of ["[data-formula]", "[data-list]"]) {
        const symbols = [...this.root.querySelectorAll(`${selector} .symbol`)];
        this.rove(symbols, (from, key) => {
          const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key];
          return symbols[symbols.indexOf(from) + step];
        });
      }
    }

    rove(items, next) {
      items.forEach((item, place) => {
        item.tabIndex = place === 0 ? 0 : -1;
        item.addEventListener("keydown", (event) => {
          if (!event.key.startsWith("Arrow") || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          const target = next(item, event.key);
          if (!target) return;
          items.forEach((other) => { other.tabIndex = -1; });
          target.tabIndex = 0;
          target.focus();
        });
      });
    }

    // The region that lies nearest in the direction of an arrow key.
    neighbour(column, key, items) {
      const [x, y] = this.data.centres[column];
      const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
      let best = null;
      let least = Infinity;
      for (const item of items) {
        const [ox, oy] = this.data.centres[item.dataset.region];
        const along = (ox - x) * dx + (oy - y) * dy;
        const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
        if (along > 0 && along + 2 * aside < least) [best, least] = [item, along + 2 * aside];
      }
      return best;
    }

    listen() {
      const regionOf = (event) => event.target.closest("[data-region]");
      this.root.addEventListener("pointerover", (event) => {
        const at = regionOf(event);
        if (event.pointerType !== "touch") this.light(at ? Number(at.dataset.region) : null);
      });
      this.root.addEventListener("pointerleave", () => this.light(null));
      this.root.addEventListener("focusin", (event) => {
        const at = regionOf(event);
        if (at && event.target.matches(":focus-visible")) this.light(Number(at.dataset.region));
      });
      this.root.addEventListener("focusout", () => this.light(null));
      this.root.addEventListener("click", (event) => {
        const state = event.target.closest("[data-state]");
        const action = event.target.closest("[data-do]");
        const clickable = event.target.closest(".symbol, .region, .graph [data-region]");
        const look = event.target.closest("[data-keep]");
        if (look) this.keep(this.withColumns(look.dataset.keep), true);
        else if (state) this.keep(this.columns(this.states[state.dataset.state]), true);
        else if (action) this.act(action.dataset.do, action);
        else if (clickable) this.toggle(Number(clickable.dataset.region));
      });
      this.root.addEventListener("keydown", (event) => {
        if (!event.target.matches(".region") || (event.key !== " " && event.key !== "Enter")) return;
        event.preventDefault();
        this.toggle(Number(event.target.dataset.region));
      });
    }

    // Where a server gave the page: selections that were not asked are told outside, and what comes back is learnt.
    learn(kept, answer) {
      const row = this.packed(kept);
      const top = answer.top.map(({ index, name, share }) => ({ index, name, share }));
      this.further.set(keyOf(row), { valid: answer.valid, top });
      if (keyOf(row) === keyOf(this.packed())) this.show();
    }

    withColumns(text) {
      const columns = new Set(text.split(" "));
      return this.kept.map((_, column) => columns.has(String(column)));
    }

    columns(row) { return this.kept.map((_, column) => Boolean(bit(row, column))); }

    keep(selection, scroll = false) {
      this.kept = selection;
      this.show();
      if (scroll) this.root.querySelector(".stage").scrollIntoView({ block: "nearest" });
    }

    toggle(column) {
      this.kept[column] = !this.kept[column];
      this.show();
      this.light(column);
    }

    act(name, button) {
      if (name === "all") this.keep(this.kept.map(() => true));
      if (name === "none") this.keep(this.kept.map(() => false));
      if (name === "shared") this.keep([...this.shared]);
      if (name === "invert") this.keep(this.kept.map((kept) => !kept));
      if (name === "numbers") {
        const hidden = this.root.querySelector("[data-numbers]").classList.toggle("hidden");
        button.setAttribute("aria-pressed", String(!hidden));
      }
      if (name === "more") {
        this.root.querySelector("[data-gallery]").classList.add("all");
        button.remove();
      }
    }

    light(column) {
      if (column === this.lit) return;
      this.lit = column;
      this.root.querySelectorAll(".lit").forEach((element) => element.classList.remove("lit"));
      const halo = this.root.querySelector("[data-halo]");
      if (halo) halo.removeAttribute("href");
      if (column === null) return;
      this.root.querySelectorAll(`[data-region="${column}"]`).forEach((element) => element.classList.add("lit"));
      if (halo) halo.setAttribute("href", `#${halo.dataset.prefix}${column}`);
    }

    // ---- what holds for the regions that are left

    packed(kept = this.kept) {
      const row = new Uint8Array(this.width);
      kept.forEach((kept, column) => { if (kept) row[column >> 3] |= 1 << (column & 7); });
      return row;
    }

    show() {
      const row = this.packed();
      const met = [];
      this.states.forEach((state, place) => { if (within(state, row)) met.push(place); });
      const violated = this.necessary.findIndex((set) => apart(set, row));
      const whole = this.pending || this.states.length < this.data.statesTotal || this.data.statesTotal === 0;
      const holds = met.length > 0 && !this.pending ? true : whole ? null : false;
      this.mark();
      const formula = this.root.querySelector("[data-formula]");
      if (formula) this.evaluate(formula);
      this.verdict(row, holds, met, violated);
      this.root.querySelectorAll("[data-state]").forEach((tile) => {
        const same = keyOf(this.states[tile.dataset.state]) === keyOf(row);
        if (same) tile.setAttribute("aria-current", "true"); else tile.removeAttribute("aria-current");
      });
    }

    mark() {
      this.root.querySelectorAll("[data-region], [data-label]").forEach((element) => {
        const column = Number(element.dataset.region ?? element.dataset.label);
        element.classList.toggle("dropped", !this.kept[column]);
        if (element.hasAttribute("aria-checked")) element.setAttribute("aria-checked", String(this.kept[column]));
        if (element.matches(".symbol")) element.setAttribute("aria-pressed", String(this.kept[column]));
      });
      this.root.querySelectorAll("tr.dropped").forEach((row) => row.classList.remove("dropped"));
    }

    // The truth value of every bracket, from the inside out.
    evaluate(node) {
      const parts = [...node.children].flatMap((child) => child.matches(".line") ? [...child.children] : [child])
        .filter((child) => child.dataset.node);
      const kind = node.dataset.node;
      if (kind === "region") return this.kept[node.dataset.region];
      if (kind === "true" || kind === "false") return kind === "true";
      const values = parts.map((part) => this.evaluate(part));
      const value = kind === "or" ? values.some(Boolean) : values.every(Boolean);
      if (kind) node.classList.toggle("false", !value);
      return value;
    }

    name(column) {
      const id = this.data.regions[column];
      return this.data.names[column] ? `${this.data.names[column]} (${id})` : `I${id}`.replace("-", "_m");
    }

    named(row) {
      const names = this.kept.flatMap((_, column) => bit(row, column) ? [this.name(column)] : []);
      return names.length ? names.join(", ") : "no region";
    }

    verdict(row, holds, met, violated) {
      const box = this.root.querySelector("[data-verdict]");
      const say = (part, text) => {
        const cell = box.querySelector(`[data-${part}]`);
        if (cell) cell.textContent = text;
      };
      const none = this.data.statesTotal === 0;
      box.classList.toggle("holds", holds === true);
      box.classList.toggle("fails", holds === false);
      say("holds", this.pending ? "No formula yet" : none ? "There is no formula" : holds === null ? "Not known here" : holds ? "The formula holds" : "The formula fails");
      const share = this.kept.reduce((sum, kept, column) => sum + (kept ? this.data.areas[column] : 0), 0);
      const left = this.kept.filter(Boolean).length;
      say("kept", `${left} of ${plural(this.count, "region")}, ${percent(share)} of the image`);
      say("met", this.metWords(met, holds));
      say("violated", this.violatedWords(violated, holds));
      this.root.querySelectorAll(".sets.inline li").forEach((item, place) => {
        item.classList.toggle("violated", place < this.necessary.length && apart(this.necessary[place], row));
      });
      this.model(box, row, holds);
    }

    metWords(met, holds) {
      if (holds === null) return "none of those in this file; there are more";
      if (!met.length) return "none";
      const others = met.length > 1 ? ` and ${(met.length - 1).toLocaleString("en")} more` : "";
      return `number ${met[0] + 1} (${this.named(this.states[met[0]])})${others}`;
    }

    violatedWords(violated, holds) {
      if (violated >= 0) return this.named(this.necessary[violated]);
      return holds === false ? "a larger one, not in this file" : "none";
    }

    // What the model said, with its first classes where they are known.
    answerTo(row) {
      const key = keyOf(row);
      const place = this.answers.get(key);
      const further = this.further.get(key);
      if (further) {
        const weak = !further.valid && further.top.length && further.top[0].index === this.data.target;
        const top = further.top.map(({ name, share }) => (share === null ? name : `${name} ${share.toFixed(2)}`));
        const said = weak && this.data.lack ? `loses the decision, ${this.data.lack}` : this.verdictWords(further.valid);
        return { valid: further.valid, words: top.length ? `${said}: ${top.join("; ")}` : said };
      }
      if (place === undefined) {
        const { count, total } = this.data.answers;
        return { valid: null, words: count < total ? "not asked, or its answer is not in this file" : "not asked" };
      }
      const valid = Boolean(bit(this.valid, place));
      return { valid, words: `${this.verdictWords(valid)}${this.strength(place)}` };
    }

    verdictWords(valid) { return valid ? "keeps the decision" : "loses the decision"; }

    strength(place) {
      const probability = this.probabilities ? this.probabilities.getFloat32(4 * place, true) : NaN;
      if (!Number.isNaN(probability)) return `, probability ${probability.toFixed(2)}`;
      const score = this.scores ? this.scores.getFloat32(4 * place, true) : NaN;
      return Number.isNaN(score) ? "" : `, score ${Number(score.toPrecision(3))}`;
    }

    model(box, row, holds) {
      const answer = this.answerTo(row);
      if (this.root.dataset.asks && !this.further.has(keyOf(row))) {
        if (answer.valid === null) answer.words = "being asked …";
        this.root.dispatchEvent(new CustomEvent("unasked", { detail: [...this.kept], bubbles: true }));
      }
      const remark = box.querySelector("[data-remark]");
      remark.hidden = true;
      const cell = box.querySelector("[data-model]");
      cell.textContent = answer.words;
      const now = this.root.querySelector("[data-now]");
      if (now) now.textContent = `With ${this.named(row)}: ${answer.valid === null ? "the model was " : "the model "}${answer.words}.`;
      const valid = answer.valid;
      if (valid === null || holds === null || holds === valid) return;
      remark.hidden = false;
      remark.textContent = valid
        ? "The model keeps its decision here although no final state is left: this selection is outside what the formula describes."
        : "The model loses its decision here although a final state is left: what was added disturbs it. The formula says what is enough, not what is harmless.";
    }
  }

  // Without scripts all levels stand beside one another; with them, one at a time behind a slider.
  const zoom = (root) => {
    const range = root.querySelector("[data-range]");
    const levels = [...root.querySelectorAll("[data-level]")];
    const show = () => {
      levels.forEach((level) => { level.hidden = level.dataset.level !== range.value; });
      const shown = levels[Number(range.value)];
      root.querySelector("[data-level-number]").textContent = range.value;
      range.setAttribute("aria-valuetext", shown.querySelector("img").alt);
    };
    range.addEventListener("input", show);
    root.classList.add("sliding");
    root.querySelector("[data-slider]").hidden = false;
    show();
  };

  document.querySelectorAll("[data-entry]").forEach((root) => new Entry(root));
  document.querySelectorAll("[data-zoom]").forEach(zoom);
})();
