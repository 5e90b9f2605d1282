// The results that the page has open, kept while one goes from page to page. Files stay in the browser.
import { call, type Schemas } from "../api/client";
import { readResult, type Result } from "./bench";

class BenchResults {
  open = $state.raw<Result[]>([]);
  failures = $state.raw<string[]>([]);
  private last = 0;

  async add(files: Iterable<File>) {
    this.failures = [];
    for (const file of files) await this.put(file.name, () => file.text());
  }
  // One that the manager keeps.
  async addMeasured(one: Schemas["Benchmark"]) {
    this.failures = [];
    await this.put(one.name, async () => {
      const answer = await call("get", "/api/v1/bench/results/{benchmark}", { path: { benchmark: one.id } });
      return JSON.stringify(answer.result);
    });
  }
  private async put(name: string, text: () => Promise<string>) {
    try {
      const result = readResult(`${++this.last}`, await text());
      this.open = [...this.open, result];
    } catch (failure) {
      this.failures = [...this.failures, `${name}: ${(failure as Error).message}`];
    }
  }
  close(id: string) {
    this.open = this.open.filter((one) => one.id !== id);
  }
}

export const benchResults = new BenchResults();
