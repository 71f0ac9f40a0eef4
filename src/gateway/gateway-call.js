export {};
//# sourceMappingURL=gateway-call.js.map