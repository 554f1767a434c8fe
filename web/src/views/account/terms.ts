// The current service statement, fetched where it is needed.
import { onMounted, ref, shallowRef } from "vue";
import { terms as fetchTerms } from "@/api/calls";
import { useRetry } from "@/api/polled";
import { type Problem, asProblem } from "@/api/problem";
import type { Terms } from "@/api/types";

export function useTerms() {
  const terms = shallowRef<Terms | null>(null);
  const problem = shallowRef<Problem | null>(null);
  const accepted = ref(false);
  async function load(): Promise<void> {
    try {
      terms.value = await fetchTerms();
      problem.value = null;
    } catch (error) {
      problem.value = asProblem(error);
    }
  }
  onMounted(load);
  useRetry(problem, load);
  return { terms, problem, accepted, load };
}
