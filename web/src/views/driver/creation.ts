// A tap that creates something creates it once: a second tap while it is under way does nothing, and a retry after a dead zone
// carries the same key, so that the service gives the first answer again.
import { type Ref, type ShallowRef, ref, shallowRef } from "vue";
import { type Options, newIdempotencyKey } from "@/api/http";
import { type Problem, asProblem } from "@/api/problem";

export interface Creation<Form, Made> {
  busy: Ref<boolean>;
  problem: ShallowRef<Problem | null>;
  /** Null when it was refused (`problem` tells why), or when it is under way already. */
  make: (form: Form) => Promise<Made | null>;
}

export function useCreation<Form, Made>(send: (form: Form, options: Options) => Promise<Made>): Creation<Form, Made> {
  const busy = ref(false);
  const problem = shallowRef<Problem | null>(null);
  /** What the key stands for; null when the next attempt is another one in any case. */
  let meant: string | null = null;
  let key = "";

  async function make(form: Form): Promise<Made | null> {
    if (busy.value) return null;
    const asked = JSON.stringify(form ?? null);
    if (asked !== meant) [key, meant] = [newIdempotencyKey(), asked];
    busy.value = true;
    problem.value = null;
    try {
      const made = await send(form, { idempotencyKey: key });
      meant = null;
      return made;
    } catch (error) {
      problem.value = asProblem(error);
      if (!problem.value.isPassing) meant = null;
      return null;
    } finally {
      busy.value = false;
    }
  }

  return { busy, problem, make };
}
