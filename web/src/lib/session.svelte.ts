// Who is logged in, and what that role may do. The API enforces it; here it only decides what is offered.
import { call, unauthenticated, type Role, type Schemas } from "../api/client";

const ranks: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

class Session {
  known = $state(false); // whether it has been asked
  who = $state.raw<Schemas["Whoami"] | null>(null);

  async ask() {
    try {
      this.who = await call("get", "/api/v1/whoami");
    } catch {
      this.who = null;
    }
    this.known = true;
  }
  async begin(token: string) {
    this.who = await call("post", "/api/v1/session", { body: { token } });
  }
  async end() {
    await call("delete", "/api/v1/session");
    this.who = null;
  }
  may(role: Role): boolean {
    return this.who !== null && ranks[this.who.role] >= ranks[role];
  }
}

export const session = new Session();
unauthenticated.handler = () => {
  session.who = null;
};
