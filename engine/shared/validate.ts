/** The faults of data against a schema, in words for a person: for all who read data that people write. */
export { validate } from "../check/validate.ts";
