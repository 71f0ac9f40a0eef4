/** Listeners of a reload: all of the new ones, or (one cannot be opened) the old ones as they were. */
import type { SipListenerOptions, SipTransport } from '../net/sip-transport.ts';

export interface Moved {
  /** What was opened and closed, for the operator. */
  readonly messages: readonly string[];
  /** Back to what was before: something else of the same reload failed. */
  undo(): Promise<void>;
}

/** Rejects with the system's error; then nothing has changed. Listeners that stay the same get their certificate anew. */
export async function moveListeners(
  transport: SipTransport,
  before: readonly SipListenerOptions[],
  after: readonly SipListenerOptions[],
): Promise<Moved> {
  const old = new Map(before.map((listener) => [listener.name, listener]));
  const messages: string[] = [];
  const undo: (() => Promise<unknown>)[] = [];
  const back = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  const close = async (listener: SipListenerOptions): Promise<void> => {
    await transport.removeListener(listener.name);
    undo.push(() => transport.addListener(listener));
  };
  try {
    for (const listener of after) {
      const was = old.get(listener.name);
      old.delete(listener.name);
      if (was !== undefined && same(was, listener)) {
        renew(transport, listener);
        undo.push(async () => renew(transport, was));
        continue;
      }
      if (was !== undefined) await close(was);
      await transport.addListener(listener);
      undo.push(() => transport.removeListener(listener.name));
      messages.push(`listener ${listener.name}: opened`);
    }
    for (const listener of old.values()) {
      await close(listener);
      messages.push(`listener ${listener.name}: closed`);
    }
  } catch (error) {
    await back();
    throw error;
  }
  return { messages, undo: back };
}

function same(a: SipListenerOptions, b: SipListenerOptions): boolean {
  return a.transport === b.transport && a.address.ip === b.address.ip && a.address.port === b.address.port;
}

function renew(transport: SipTransport, { name, identity }: SipListenerOptions): void {
  if (identity !== undefined) transport.reloadTls(name, identity);
}
