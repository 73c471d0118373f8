/** `changed`: it was not there before, or is another one. */
export interface Prepared {
  /** What the nodes run that are made from it. */
  role: string;
  from: string;
  changed: boolean;
}

export interface Difference {
  node: string;
  /** Each in a few words, as `image a instead of b`; empty where the node is as the spec says. */
  differs: string[];
}
