/**
 * What stands for a provider's package in the README.
 */
import { scriptedModel } from "./scripted-model.ts";

export const openai = () => scriptedModel(() => '{"title": "Two pages"}').model;
