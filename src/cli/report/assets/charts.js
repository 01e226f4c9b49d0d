// Draws the charts of a report from the JSON in the page. It runs in a browser: with uPlot before it, no module, no
// network but for a live page, which asks the server of its own page.
"use strict";
(() => {
  const KIB = 1024;
  const LIVE_MS = 1000;
  const HEIGHT = 170;
  /** What a printed page has room for, CSS pixels. */
  const PRINT_WIDTH = 680;
  const root = document.documentElement;
  const place = document.getElementById("charts");
  const live = document.body.dataset.live;
  let data = JSON.parse(document.getElementById("data").textContent);
  let charts = [];
  let shape = "";
  let printing = false;

  const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (Math.abs(bytes) >= KIB && unit < units.length - 1) {
      bytes /= KIB;
      unit++;
    }
    return `${Number(bytes.toPrecision(3))} ${units[unit]}`;
  }

  function time(seconds) {
    const whole = Math.floor(seconds);
    const two = (n) => String(n).padStart(2, "0");
    const rest = seconds % 1 ? `.${Math.round((seconds % 1) * 10) % 10}` : "";
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return `${h > 0 ? `${h}:${two(m)}` : m}:${two(s)}${rest}`;
  }

  /** Distances of the lines of the axis of time, s. */
  const SECONDS = [
    ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800],
    ...[1, 2, 4, 8, 12, 24, 48, 96, 192].map((hours) => hours * 3600),
  ];
  /** Distances of the lines of an axis of bytes. */
  const POWERS = Array.from({ length: 54 }, (_, i) => 2 ** i);
  const KINDS = {
    size: { format: size, binary: true },
    rate: { format: (n) => `${size(n)}/s`, binary: true },
    ms: { format: (n) => `${Number(n.toPrecision(3))} ms` },
    percent: { format: (n) => `${Number(n.toPrecision(4))} %`, range: [0, 100] },
  };

  /** Bytes so far as bytes per second, between each two samples. */
  function perSecond(at, bytes) {
    return bytes.map((now, i) => {
      const before = bytes[i - 1];
      const ms = at[i] - at[i - 1];
      return i === 0 || now === null || before == null || ms <= 0
        ? null
        : Math.max(0, (now - before) * 1000 / ms);
    });
  }

  /** The charts that there is something to show in: each with its kind and its curves. */
  function wanted({ samples }) {
    const known = (values) => values.some((value) => value !== null);
    const all = [
      {
        id: "disks",
        title: "Disks: share that was sent",
        kind: "percent",
        curves: samples.disks.map(({ name, percent }) => [name, percent]),
      },
      {
        id: "ram",
        title: "RAM left in the pass",
        kind: "size",
        curves: [["RAM left", samples.ramLeft]],
      },
      {
        id: "rates",
        title: "Rates: on the wire, without compression, and RAM that the guest changes",
        kind: "rate",
        curves: [
          ["on the wire", perSecond(samples.atMs, samples.wireBytes)],
          ["without compression", samples.rate],
          ["guest changes RAM", samples.dirtyRate],
        ],
      },
      {
        id: "trip",
        title: "Round trip of the connection",
        kind: "ms",
        curves: [["round trip", samples.rttMs]],
      },
      {
        id: "throttle",
        title: "CPU time that QEMU takes from the guest",
        kind: "percent",
        curves: [["throttle", samples.throttlePercent]],
      },
    ];
    return all
      .map((chart) => ({ ...chart, curves: chart.curves.filter(([, values]) => known(values)) }))
      .filter(({ curves }) => curves.length > 0);
  }

  /** The end of a span that lasts still. */
  const end = ({ toMs }) => toMs ?? data.elapsedMs;

  function band(u, fromMs, toMs, fill) {
    const from = Math.max(u.valToPos(fromMs / 1000, "x", true), u.bbox.left);
    const to = Math.min(u.valToPos(toMs / 1000, "x", true), u.bbox.left + u.bbox.width);
    u.ctx.fillStyle = fill;
    // A short one is to be seen, too.
    const width = Math.max(to - from, 2 * devicePixelRatio);
    if (to >= u.bbox.left) u.ctx.fillRect(from, u.bbox.top, width, u.bbox.height);
    return [from, to];
  }

  /** Below the curves: phases, cuts and pauses. */
  function drawBands(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    let free = bbox.left;
    data.phases.forEach((span, i) => {
      const fill = i % 2 ? "transparent" : color("band");
      const [from, to] = band(u, span.fromMs, end(span), fill);
      ctx.fillStyle = color("soft");
      const start = Math.max(from, free) + 3 * devicePixelRatio;
      const wide = ctx.measureText(span.phase).width;
      if (start + wide > Math.max(to, start) && to - start < wide) return;
      ctx.fillText(span.phase, start, bbox.top + 2 * devicePixelRatio);
      free = start + wide;
    });
    for (const span of data.cuts) band(u, span.fromMs, end(span), color("cut"));
    for (const span of data.pauses) band(u, span.fromMs, end(span), color("pause"));
    ctx.restore();
  }

  /** Above the curves: warnings and steps. */
  function drawMarks(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = color("mark");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const { atMs } of data.events) {
      const x = u.valToPos(atMs / 1000, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  const width = () => printing ? PRINT_WIDTH : Math.max(240, place.clientWidth);

  function options({ kind, curves }) {
    const { format, range, binary } = KINDS[kind];
    const axis = {
      stroke: () => color("soft"),
      grid: { stroke: () => color("line"), width: 1 },
      ticks: { stroke: () => color("line"), width: 1 },
    };
    const count = {
      distr: 1,
      ...(range ? { range } : { range: { min: { soft: 0, mode: 1 }, max: { pad: 0.1, mode: 2 } } }),
    };
    return {
      width: width(),
      height: HEIGHT,
      cursor: { sync: { key: "run" }, drag: { x: true, y: false } },
      scales: {
        x: { time: false, range: () => [0, Math.max(data.elapsedMs / 1000, 0.1)] },
        y: count,
      },
      axes: [
        { ...axis, space: 80, incrs: SECONDS, values: (_, all) => all.map(time) },
        {
          ...axis,
          size: 80,
          space: 28,
          incrs: binary ? POWERS : undefined,
          values: (_, all) => all.map((n) => n === null ? "" : format(n)),
        },
      ],
      series: [
        { label: "at", value: (_, at) => at === null ? "" : time(at) },
        ...curves.map(([label], i) => ({
          label,
          stroke: () => color(`c${i % 6 + 1}`),
          width: 1.5,
          dash: i >= 6 ? [6, 4] : undefined,
          points: { show: curves[i][1].length < 3 },
          spanGaps: false,
          value: (_, n) => n === null || n === undefined ? "" : format(n),
        })),
      ],
      hooks: { drawClear: [drawBands], draw: [drawMarks] },
    };
  }

  const columns = ({ curves }) => [
    data.samples.atMs.map((ms) => ms / 1000),
    ...curves.map(([, values]) => values),
  ];

  function draw() {
    const all = wanted(data);
    const now = JSON.stringify(all.map(({ id, curves }) => [id, curves.map(([name]) => name)]));
    if (now === shape) {
      all.forEach((chart, i) => charts[i].setData(columns(chart)));
      return;
    }
    shape = now;
    for (const chart of charts) chart.destroy();
    place.replaceChildren();
    charts = all.map((chart) => {
      const box = document.createElement("section");
      box.className = "chart";
      box.id = `chart-${chart.id}`;
      const head = document.createElement("h2");
      head.textContent = chart.title;
      box.append(head);
      place.append(box);
      return new uPlot(options(chart), columns(chart), box);
    });
    document.getElementById("bands").hidden = charts.length === 0;
  }

  function redraw() {
    for (const chart of charts) {
      chart.setSize({ width: width(), height: HEIGHT });
      chart.redraw(false);
    }
  }

  /** The colours are others: uPlot reads those of its legend only when it makes a chart. */
  function recolor() {
    shape = "";
    draw();
  }

  function print(begins) {
    printing = begins;
    root.classList.toggle("printing", begins);
    recolor();
  }

  async function look() {
    try {
      const answer = await fetch(live, { cache: "no-store" });
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const { data: next, summary, tables, gone } = await answer.json();
      data = next;
      show("summary", summary);
      show("tables", tables);
      state(gone);
      draw();
      if (data.result || gone) return;
    } catch (error) {
      state(`This page is no longer live: ${error.message}.`);
    }
    setTimeout(look, LIVE_MS);
  }

  /** The server has escaped all text in it, and the page's policy lets no script of it run. */
  function show(id, html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    document.getElementById(id).replaceChildren(fresh.content);
  }

  function state(text) {
    document.getElementById("state").textContent = text;
  }

  draw();
  new ResizeObserver(() => printing || redraw()).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  if (live) setTimeout(look, LIVE_MS);
})();
