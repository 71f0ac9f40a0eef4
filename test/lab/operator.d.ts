/** What the lab reads of `status`; see src/gateway/contract.ts. */
export interface Status {
  readonly name: string;
  readonly calls: number;
  readonly tunnels: readonly {
    readonly site: string;
    readonly state: string;
    readonly lanes: number;
    readonly session: string;
  }[];
  readonly peers: readonly {
    readonly name: string;
    readonly state: string;
  }[];
  readonly shards: readonly {
    readonly shard: number;
    readonly implementation: string;
  }[];
  readonly registrations: number;
  readonly counters: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly foreignNames: Readonly<Record<string, number>>;
}
export interface CallLine {
  readonly call: string;
  readonly state: string;
  readonly caller: string;
  readonly callee: string;
}
/** All descendants. */
export declare function children(pid: number): number[];
/** One question to a gateway's operator socket. */
export declare function ask(socket: string, request: unknown): Promise<unknown>;
