/** A value that is none of its type: a bug of the caller, who checks what comes from a peer before it is put into a message. */
export class PerEncodeError extends Error {
  /** ASN.1 identifiers down to the wrong part. */
  path: string;

  constructor(problem: string) {
    super(problem);
    this.name = 'PerEncodeError';
    this.path = '';
  }

  within(name: string): this {
    this.path = this.path === '' || this.path.startsWith('[') ? name + this.path : `${name}.${this.path}`;
    return this;
  }
}
