/**
 * Thrown when an expression really needs a value that does not exist yet: in plan mode, the output of a step that did not
 * run. `false && unknown` and `true || unknown` do not need it.
 */
export class UnknownValue extends Error {
  /** What was asked for: `steps.switch.output`. */
  readonly path: string;

  constructor(path: string) {
    super(`${path} is not known: the step did not run`);
    this.name = "UnknownValue";
    this.path = path;
  }
}

const marked = new WeakMap<object, string>();

/** A stand-in for an output that does not exist: reading it, or anything in it, throws `UnknownValue`. */
export function unknownOutput(path: string): object {
  const refuse = (): never => {
    throw new UnknownValue(path);
  };
  const marker = new Proxy(Object.create(null) as object, {
    get: refuse,
    has: refuse,
    ownKeys: refuse,
    getOwnPropertyDescriptor: refuse,
    getPrototypeOf: refuse,
  });
  marked.set(marker, path);
  return marker;
}

/** Throws when `value` is such a stand-in; nothing else of it is touched. @throws UnknownValue */
export function assertKnown(value: object): void {
  const path = marked.get(value);
  if (path !== undefined) throw new UnknownValue(path);
}
