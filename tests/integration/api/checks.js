// Checks of a page as eyes and screen readers meet it; evaluates to a list of complaints (empty when all is well).
(() => {
  const problems = [];
  const name = (element) => `${element.tagName.toLowerCase()}.${element.className?.baseVal ?? element.className} "${(element.textContent || "").trim().slice(0, 40)}"`;

  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((part, i) => part * top[3] + under[i] * (1 - top[3])).concat(1);
  const background = (element) => {
    if (!element) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, background(element.parentElement));
  };
  const luminance = ([r, g, b]) => {
    const part = (value) => { const c = value / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const contrast = (a, b) => { const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x); return (light + 0.05) / (dark + 0.05); };

  for (const element of document.body.querySelectorAll("*")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!hasText || !box.width || element.closest("svg, .visually-hidden, .skip")) continue;
    const style = getComputedStyle(element);
    if (style.visibility === "hidden") continue;
    const under = background(element);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(over(rgba(style.color), under), under);
    if (ratio < (large ? 3 : 4.5)) problems.push(`contrast ${ratio.toFixed(2)} ${name(element)}`);
  }

  const labelled = (element) => (element.getAttribute("aria-label") || element.textContent || element.title || "").trim() || (element.labels && element.labels.length);
  for (const element of document.querySelectorAll("a[href], button, summary")) if (!labelled(element)) problems.push(`no name ${name(element)}`);
  for (const element of document.querySelectorAll("input:not([type=hidden]), select, textarea")) if (!labelled(element)) problems.push(`no label ${element.outerHTML.slice(0, 80)}`);
  for (const element of document.querySelectorAll("svg")) {
    const hidden = element.getAttribute("aria-hidden") === "true";
    if (!hidden && !element.querySelector("title")?.textContent.trim()) problems.push(`picture without title ${name(element)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) problems.push(`id twice ${id}`);
  if (document.querySelectorAll("main").length !== 1) problems.push("not exactly one main");
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((element) => Number(element.tagName[1]));
  if (levels.length && levels[0] !== 1 && !document.querySelector(".gate")) problems.push("the first heading is no h1");
  levels.forEach((level, place) => { if (place && level > levels[place - 1] + 1) problems.push(`heading jumps to h${level}`); });
  if (!document.documentElement.lang || !document.title.trim()) problems.push("no language or title");
  for (const cell of document.querySelectorAll("ul > *, ol > *")) if (cell.tagName !== "LI") problems.push(`list holds ${name(cell)}`);
  if (document.documentElement.scrollWidth > innerWidth + 1) problems.push(`page is wider than the screen: ${document.documentElement.scrollWidth}`);
  if (innerWidth < 600) {
    for (const element of document.querySelectorAll("main button, .dock button, .job > a, main .row[href]")) {
      const box = element.getBoundingClientRect();
      if (box.height && box.height < 40) problems.push(`small target ${Math.round(box.height)} px ${name(element)}`);
    }
  }
  return [...new Set(problems)];
})()
