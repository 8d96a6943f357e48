import type { FormEvent } from 'react';

type Props = { label: string; button: string; onEnter: (text: string) => Promise<boolean> };

/** A text and a button. The text goes when it was taken. */
export function Field({ label, button, onEnter }: Props) {
  const enter = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    if (await onEnter(String(new FormData(form).get('text')))) form.reset();
  };
  return (
    <form onSubmit={enter}>
      <input name="text" aria-label={label} placeholder={label} required />
      <button>{button}</button>
    </form>
  );
}
