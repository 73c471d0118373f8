declare module "*.postgres" {
  const text: string;
  export default text;
}
declare module "*.etcd" {
  const text: string;
  export default text;
}
declare module "*.monitoring" {
  const text: string;
  export default text;
}
declare module "*.pgbouncer" {
  const text: string;
  export default text;
}
