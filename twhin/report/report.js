// Tips: what a point means, under the pointer and for the arrow keys.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  const show = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(x + 14, innerWidth - box.width - 8);
    const top = y - box.height - 12 < 4 ? y + 16 : y - box.height - 12;
    tip.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
  };
  const hide = () => { tip.hidden = true; };

  document.addEventListener("pointermove", (event) => {
    const target = event.target.closest("[data-tip]");
    if (target) show(target.dataset.tip, event.clientX, event.clientY);
    else if (!event.target.closest("svg.reading-chart")) hide();
  });
  document.addEventListener("scroll", hide, { passive: true });

  for (const chart of document.querySelectorAll("svg.reading-chart")) {
    const places = JSON.parse(chart.dataset.places);
    const tips = JSON.parse(chart.dataset.tips);
    const cursor = chart.querySelector(".cursor");
    const width = chart.viewBox.baseVal.width;
    let current = -1;

    const read = (index) => {
      current = Math.max(0, Math.min(places.length - 1, index));
      const box = chart.getBoundingClientRect();
      cursor.setAttribute("x1", places[current]);
      cursor.setAttribute("x2", places[current]);
      chart.classList.add("reading");
      const x = box.left + places[current] * box.width / width;
      show(tips[current], x, box.top + box.height * 0.3);
    };
    const leave = () => { chart.classList.remove("reading"); hide(); };

    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const x = (event.clientX - box.left) * width / box.width;
      let best = 0;
      places.forEach((place, index) => {
        if (Math.abs(place - x) < Math.abs(places[best] - x)) best = index;
      });
      read(best);
    });
    chart.addEventListener("pointerleave", leave);
    chart.addEventListener("blur", leave);
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step !== undefined) {
        event.preventDefault();
        read(current < 0 ? (step > 0 ? 0 : places.length - 1) : current + step);
      } else if (event.key === "Escape") {
        leave();
      }
    });
  }
})();
