(() => {
  const colour = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const boxes = [...document.querySelectorAll(".plot")];

  // The colours of light or dark, for what is not a series.
  const themed = () => {
    const axis = { gridcolor: colour("--line"), linecolor: colour("--line") };
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      "font.color": colour("--text"),
      "hoverlabel.bgcolor": colour("--raised"),
      "hoverlabel.font.color": colour("--text"),
    };
    for (const name of ["xaxis", "yaxis"]) {
      for (const [key, value] of Object.entries(axis)) layout[`${name}.${key}`] = value;
    }
    return layout;
  };

  const draw = async (box) => {
    const figure = JSON.parse(document.getElementById(`${box.id}-data`).textContent);
    await Plotly.newPlot(box, figure.data, figure.layout, {
      responsive: true,
      displayModeBar: false,
    });
    await Plotly.relayout(box, themed());
    box.dataset.drawn = "true";
  };

  const toggle = ({ currentTarget: button }) => {
    const isShown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", isShown);
    const box = button.closest("figure").querySelector(".plot");
    Plotly.restyle(box, { visible: isShown }, [Number(button.dataset.trace)]);
  };
  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", toggle);
  }

  boxes.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    boxes.forEach((box) => Plotly.relayout(box, themed()));
  });
})();
