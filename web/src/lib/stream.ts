// Server-sent events (WHATWG HTML, 9.2) by fetch(): unlike EventSource it hears events of every name, and what it does
// when the connection is lost is ours to say.

export interface StreamHandlers {
  opened: () => void;
  heard: (kind: string, data: string) => void;
  ended: () => void; // once, for whatever reason
}

// The manager says something every 15 s; a connection that is silent for longer is dead.
const longestSilence = 40_000;

export function openStream(url: string, handlers: StreamHandlers): () => void {
  const abort = new AbortController();
  let silence = window.setTimeout(() => abort.abort(), longestSilence);

  async function read() {
    const response = await fetch(url, { credentials: "same-origin", signal: abort.signal, cache: "no-store" });
    if (!response.ok || !response.body) return;
    handlers.opened();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = window.setTimeout(() => abort.abort(), longestSilence);
      const messages = (rest + value).split("\n\n");
      rest = messages.pop() ?? "";
      for (const message of messages) deliver(message);
    }
  }
  function deliver(message: string) {
    let kind = "message";
    const data: string[] = [];
    for (const line of message.split("\n")) {
      if (line.startsWith("event: ")) kind = line.slice(7);
      if (line.startsWith("data: ")) data.push(line.slice(6));
    }
    if (data.length) handlers.heard(kind, data.join("\n"));
  }

  void read()
    .catch(() => {})
    .finally(() => {
      clearTimeout(silence);
      handlers.ended();
    });
  return () => abort.abort();
}
