"use strict";
{
  const PLAY_MS = 10000;
  const DAY_S = 86400;
  const [slider, play, clock, picture, curtain, cursor] =
    ["slider", "play", "clock", "curves", "curtain", "cursor"].map((id) => document.getElementById(id));
  const values = document.querySelectorAll("#legend output");
  const { times, series, left, right } = JSON.parse(document.getElementById("data").textContent);
  const end = times[times.length - 1];
  let now = end;
  let frame = 0;

  const place = (at) => left + (right - left) * at / end;

  // The values that were measured last by then.
  function show(at) {
    const index = times.findLastIndex((time) => time <= at);
    values.forEach((output, number) => { output.value = series[number][index].toFixed(1) + "%"; });
    clock.value = "day " + (at / DAY_S).toFixed(1);
    cursor.setAttribute("transform", "translate(" + place(at) + ")");
  }

  function uncover(at) {
    now = at;
    curtain.setAttribute("width", place(at) - left);
    slider.value = times.findLastIndex((time) => time <= at);
    show(at);
    slider.setAttribute("aria-valuetext", clock.value);
  }

  function stop() {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = "Play";
  }

  function start() {
    const from = now < end ? now : 0;
    const began = performance.now();
    function draw(time) {
      // A frame's time may lie before the click that asked for it.
      uncover(Math.min(from + Math.max(time - began, 0) / PLAY_MS * end, end));
      if (now < end) frame = requestAnimationFrame(draw);
      else stop();
    }
    frame = requestAnimationFrame(draw);
    play.textContent = "Pause";
  }

  play.addEventListener("click", () => (frame ? stop() : start()));
  slider.addEventListener("input", () => { stop(); uncover(times[slider.value]); });
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const x = (event.clientX - box.left) * picture.viewBox.baseVal.width / box.width;
    show(Math.min(Math.max((x - left) / (right - left), 0), 1) * end);
  });
  picture.addEventListener("pointerleave", () => show(now));
  document.documentElement.classList.add("live");
  uncover(end);
}
