import type { Event } from "../types.ts";

/** A function for each kind of event; a new kind is a type error in every view until it is handled. */
export type Handlers<R> = { [K in Event["kind"]]: (event: Extract<Event, { kind: K }>) => R };

export function handle<R>(handlers: Handlers<R>, event: Event): R {
  return (handlers[event.kind] as (event: Event) => R)(event);
}
