// Questions before something is done, and what comes of it afterwards: one dialog and a few messages for the whole page.
import { call, type Problem, type Operation } from "../api/client";
import { live } from "./live.svelte";

export interface Question {
  title: string;
  text: string;
  consequences?: string[]; // what will happen
  action: string; // the button's word
  danger?: boolean;
  option?: string; // a checkbox
  run: (option: boolean) => Promise<unknown>;
}

export interface Notice {
  id: number;
  text: string;
  tone: "good" | "bad" | "busy";
  hint?: string;
  operation?: string;
}

class Ask {
  question = $state.raw<Question | null>(null);
  notices = $state.raw<Notice[]>([]);
  private last = 0;

  confirm(question: Question) {
    this.question = question;
  }
  tell(notice: Omit<Notice, "id">): number {
    const id = ++this.last;
    this.notices = [...this.notices.slice(-3), { ...notice, id }];
    if (notice.tone === "good") setTimeout(() => this.dismiss(id), 6000);
    return id;
  }
  dismiss(id: number) {
    this.notices = this.notices.filter((one) => one.id !== id);
  }
  // Does it and tells how it went; with an operation, how that ends. For actions without a form of their own.
  async run(what: string, action: () => Promise<{ operation?: Operation | null; operations?: Operation[] } | unknown>) {
    try {
      this.follow(what, await action());
    } catch (failure) {
      this.failed(what, failure);
    }
  }
  failed(what: string, failure: unknown) {
    const problem = failure as Problem;
    this.tell({ text: `${what}: ${problem.message}`, tone: "bad", hint: problem.hint });
  }
  follow(what: string, answer: unknown) {
    const { operation, operations } = (answer ?? {}) as { operation?: Operation | null; operations?: Operation[] };
    const all = operations ?? (operation ? [operation] : []);
    if (!all.length) return void this.tell({ text: `${what}: done`, tone: "good" });
    const open = new Set(all.map((one) => one.id));
    const id = this.tell({ text: `${what} …`, tone: "busy", operation: all[0]?.id });
    const ended = async (operation: string) => {
      const { state, error } = await call("get", "/api/v1/operations/{operation}", { path: { operation } });
      const bad = state !== "succeeded";
      if (!bad && open.size) return;
      stop();
      const how = bad ? (error?.message ?? state) : "done";
      this.dismiss(id);
      this.tell({ text: `${what}: ${how}`, tone: bad ? "bad" : "good", hint: bad ? error?.hint : undefined });
    };
    const stop = live.listen((event) => {
      if (event.kind === "operation.finished" && open.delete(event.object)) void ended(event.object).catch(stop);
    });
  }
}

export const ask = new Ask();
