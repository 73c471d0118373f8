import { isInitializeRequest } from "@modelcontextprotocol/server";

/** The header by which a client says that its requests belong together. */
const HEADER = "Mcp-Session-Id";

type Id = string | number;

/**
 * Over HTTP each request has a server of its own, and a cancellation comes as another request than the call that it means. So clients get the id of a
 * session, and a call is found by that and its own id. A client that says no session cancels by closing the line.
 */
export class Sessions {
  readonly #calls = new Map<string, AbortController>();

  /** The calls of whoever sent the request; undefined where it says no session. */
  of(request: Request | undefined): Session | undefined {
    const session = request?.headers.get(HEADER);
    if (!session) return undefined;
    const keyOf = (id: Id): string => JSON.stringify([session, id]);
    return {
      begin: (id) => {
        const [key, stop] = [keyOf(id), new AbortController()];
        this.#calls.set(key, stop);
        return {
          signal: stop.signal,
          end: () => {
            if (this.#calls.get(key) === stop) this.#calls.delete(key);
          },
        };
      },
      cancel: (id) => this.#calls.get(keyOf(id))?.abort(),
    };
  }

  /** The answer to a request, with a session where it begins one. `body`: what the request said. */
  begun(request: Request, body: unknown, response: Response): Response {
    if (request.headers.has(HEADER) || !isInitializeRequest(body)) return response;
    const headers = new Headers(response.headers);
    headers.set(HEADER, crypto.randomUUID());
    const { status } = response;
    return new Response(response.body, { status, headers });
  }
}

export interface Session {
  /** A call has begun; `signal` tells that it is cancelled. */
  begin(id: Id): { signal: AbortSignal; end(): void };
  cancel(id: Id): void;
}
