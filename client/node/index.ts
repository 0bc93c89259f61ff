export { openNode, type OpenOptions } from "./connect";
export type * from "./api";
