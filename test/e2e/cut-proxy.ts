/** A TCP relay between the gateways that can cut, or swallow everything while the connections stay established. */
import { connect, createServer, type Server, type Socket } from 'node:net';

type Mode = 'pass' | 'cut' | 'black-hole';

export class CutProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #mode: Mode = 'pass';

  private constructor(listen: number, target: number) {
    this.#server = createServer((near) => {
      near.on('error', () => undefined);
      if (this.#mode === 'cut') {
        near.destroy();
        return;
      }
      const far = connect(target, '127.0.0.1');
      far.on('error', () => near.destroy());
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      for (const [from, to] of [pair, [far, near] as const]) {
        from.setNoDelay(true);
        from.on('data', (bytes) => {
          if (this.#mode === 'pass') to.write(bytes);
        });
        from.on('close', () => {
          this.#pairs.delete(pair);
          to.destroy();
        });
      }
    });
    this.#server.listen(listen, '127.0.0.1').unref(); // a test that failed before it could stop us still ends
  }

  static async start(listen: number, target: number): Promise<CutProxy> {
    const proxy = new CutProxy(listen, target);
    await new Promise((resolve) => proxy.#server.once('listening', resolve));
    return proxy;
  }

  set mode(mode: Mode) {
    // What was swallowed is gone: a connection that missed some octets is of no use any more.
    const broken = mode === 'cut' || (mode === 'pass' && this.#mode === 'black-hole');
    this.#mode = mode;
    if (!broken) return;
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  stop(): void {
    this.mode = 'cut';
    this.#server.close();
  }
}
