// The manager's API with the types of api/openapi.yaml. Whatever goes wrong is thrown as a Problem.
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Vm = Schemas["Vm"];
export type VmSummary = Schemas["VmSummary"];
export type Node = Schemas["Node"];
export type Image = Schemas["Image"];
export type Pool = Schemas["Pool"];
export type Network = Schemas["Network"];
export type Operation = Schemas["Operation"];
export type ClusterEvent = Schemas["Event"];
export type Plan = Schemas["Plan"];
export type Role = Schemas["Role"];

type Method = "get" | "post" | "put" | "patch" | "delete";
type Json<T> = T extends { content: { "application/json": infer J } } ? J : never;
type Answer<O> = O extends { responses: infer R }
  ? Json<R extends { 202: infer A } ? A : R extends { 201: infer B } ? B : R extends { 200: infer C } ? C : never>
  : never;
type Body<O> = O extends { requestBody?: infer R } ? Json<NonNullable<R>> : never;
type Query<O> = O extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;

export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly hint = "",
    readonly field = "",
  ) {
    super(message);
  }
}

export interface Call<O> {
  path?: Record<string, string>;
  query?: Query<O>;
  body?: Body<O>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export function address(pattern: string, path: Record<string, string> = {}, query: object = {}): string {
  const filled = pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = path[name];
    if (!value) throw new Error(`${pattern} needs a ${name}`); // or it would be the address of the list
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.append(name, String(value));
  }
  return search.size ? `${filled}?${search}` : filled;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const said = (await response.json()) as { detail?: string; hint?: string; field?: string };
    return new Problem(said.detail || response.statusText, response.status, said.hint, said.field);
  } catch {
    return new Problem(response.statusText || `HTTP ${response.status}`, response.status);
  }
}

// Told of every 401, so that the page can ask for a token again.
export const unauthenticated = { handler: () => {} };

export async function send(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...init });
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === "AbortError") throw failure;
    throw new Problem("The manager can't be reached.", 0, "It is tried again; nothing was changed by this page.");
  }
  if (response.ok) return response;
  if (response.status === 401) unauthenticated.handler();
  throw await problemOf(response);
}

export async function call<P extends keyof paths, M extends Method & keyof paths[P]>(
  method: M,
  pattern: P,
  request: Call<paths[P][M]> = {},
): Promise<Answer<paths[P][M]>> {
  const response = await send(address(pattern, request.path, request.query), {
    method: method.toUpperCase(),
    headers: { ...(request.body ? { "Content-Type": "application/json" } : {}), ...request.headers },
    body: request.body ? JSON.stringify(request.body) : undefined,
    signal: request.signal,
  });
  return (await response.json()) as Answer<paths[P][M]>;
}

// Sends a file; `sent` hears how much of it has gone. fetch() doesn't tell.
export function upload(url: string, file: File, sent: (bytes: number) => void): { done: Promise<void>; abort: () => void } {
  const request = new XMLHttpRequest();
  const done = new Promise<void>((resolve, reject) => {
    request.open("PUT", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => sent(event.loaded);
    request.onerror = () => reject(new Problem("The connection to the manager broke.", 0));
    request.onabort = () => reject(new Problem("The upload was cancelled.", 0));
    request.onload = () => {
      if (request.status < 300) return resolve();
      try {
        const said = JSON.parse(request.responseText) as { detail: string; hint: string };
        reject(new Problem(said.detail, request.status, said.hint));
      } catch {
        reject(new Problem(request.statusText, request.status));
      }
    };
    request.send(file);
  });
  return { done, abort: () => request.abort() };
}
