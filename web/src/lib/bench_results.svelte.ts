// The results that the page has open, kept while one goes from page to page. They stay in the browser.
import { readResult, type Result } from "./bench";

class BenchResults {
  open = $state.raw<Result[]>([]);
  failures = $state.raw<string[]>([]);
  private last = 0;

  async add(files: Iterable<File>) {
    this.failures = [];
    for (const file of files) {
      try {
        const result = readResult(`${++this.last}`, await file.text());
        this.open = [...this.open, result];
      } catch (failure) {
        this.failures = [...this.failures, `${file.name}: ${(failure as Error).message}`];
      }
    }
  }
  close(id: string) {
    this.open = this.open.filter((one) => one.id !== id);
  }
}

export const benchResults = new BenchResults();
