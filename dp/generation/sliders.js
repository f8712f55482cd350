// Sliders over pictures that are all in the page: without this script every first picture is seen.
"use strict";
for (const holder of document.querySelectorAll(".pager")) {
  const widget = holder.closest(".widget"), name = holder.dataset.for;
  const pictures = [...widget.querySelectorAll(`[data-${name}]`)];
  const values = [...new Set(pictures.map((each) => each.dataset[name]))];
  if (name !== "omegas" && name !== "additions") values.sort((a, b) => parseFloat(a.replace(",", "")) - parseFloat(b.replace(",", "")));
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: values.length - 1 });
  slider.value = name === "omegas" ? 0 : values.length - 1;
  const shown = document.createElement("output");
  const label = document.createElement("label");
  label.append(`${holder.dataset.title} `, slider, shown);
  holder.append(label);
  holder.hidden = false;
  const draw = () => {
    widget.dataset[name] = values[slider.value];
    shown.textContent = values[slider.value];
    slider.setAttribute("aria-valuetext", values[slider.value]);
    for (const each of widget.querySelectorAll("figure"))
      each.hidden = each.dataset.omegas !== widget.dataset.omegas || each.dataset.learners !== widget.dataset.learners;
    for (const each of widget.querySelectorAll(".map img"))
      each.hidden = Number(each.dataset.additions) > Number(widget.dataset.additions);
    for (const each of widget.querySelectorAll("svg[data-done]"))
      each.style.setProperty("--done", `${each.dataset.done.split(" ")[slider.value]}%`);
  };
  slider.addEventListener("input", draw);
  draw();
  if (name === "additions") {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Play" });
    let timer = null;
    const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) slider.value = 0;
      draw();
      button.textContent = "Stop";
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        draw();
        if (slider.value === slider.max) stop();
      }, 900);
    });
    holder.append(button);
  }
}
// What is wider than its place scrolls, and says so.
const hint = () => {
  for (const each of document.querySelectorAll(".scroll")) each.classList.toggle("wide", each.scrollWidth > each.clientWidth + 1);
};
addEventListener("resize", hint);
document.addEventListener("toggle", hint, true);
hint();
