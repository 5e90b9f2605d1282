// Light or dark: as the system has it, until somebody chooses.

const dark = matchMedia("(prefers-color-scheme: dark)");

class Theme {
  chosen = $state<string | null>(localStorage.getItem("theme"));
  system = $state(dark.matches);
  readonly name = $derived(this.chosen ?? (this.system ? "dark" : "light"));

  constructor() {
    dark.addEventListener("change", () => {
      this.system = dark.matches;
      this.apply();
    });
  }
  apply() {
    document.documentElement.dataset.theme = this.name;
  }
  toggle() {
    this.chosen = this.name === "dark" ? "light" : "dark";
    localStorage.setItem("theme", this.chosen);
    this.apply();
  }
}

export const theme = new Theme();
