import type { PlaneCommand, StreamLegConfig } from '../media/plane-contract.ts';

/** The call is over: its close may wait for commands of others, milliseconds. */
const CLOSE_WITHIN_MS = 20;
/** No far end is known yet: who has just been called needs longer than that to send its first packet. */
const OPEN_WITHIN_MS = 3;

/**
 * Commands on their way to a worker. Waking it costs more than most commands do, so what nobody misses for some milliseconds waits for
 * company: closes, and ports of calls that nobody has answered. Order is kept. A stream whose answer comes while it waits is opened once, with
 * what was agreed on.
 */
export class WaitingCommands {
  readonly #post: (commands: readonly PlaneCommand[]) => void;
  #commands: PlaneCommand[] = [];
  /** Place in #commands by stream, of opens. */
  readonly #opens = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #within = 0;

  constructor(post: (commands: readonly PlaneCommand[]) => void) {
    this.#post = post;
  }

  add(command: PlaneCommand): void {
    if (command.kind === 'close') {
      // What comes for this stream after its close is another life of it.
      this.#opens.delete(key(command));
      this.#wait(command, CLOSE_WITHIN_MS);
      return;
    }
    if (command.kind === 'open' && command.leg.remote === undefined) {
      this.#opens.set(key(command.leg), this.#commands.length);
      this.#wait(command, OPEN_WITHIN_MS);
      return;
    }
    const waiting = command.kind === 'modify' ? this.#opens.get(key(command.leg)) : undefined;
    if (command.kind === 'modify' && waiting !== undefined) {
      this.#commands[waiting] = { kind: 'open', leg: command.leg };
    } else this.#commands.push(command);
    this.flush();
  }

  flush(): void {
    const commands = this.#commands;
    this.clear();
    if (commands.length > 0) this.#post(commands);
  }

  /** Forgets what waits. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#commands = [];
    this.#opens.clear();
  }

  #wait(command: PlaneCommand, within: number): void {
    this.#commands.push(command);
    if (this.#timer !== undefined && this.#within <= within) return;
    clearTimeout(this.#timer);
    this.#within = within;
    this.#timer = setTimeout(() => this.flush(), within);
  }
}

function key({ session, stream }: Pick<StreamLegConfig, 'session' | 'stream'>): string {
  return `${stream} ${session}`;
}
