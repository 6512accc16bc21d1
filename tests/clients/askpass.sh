#!/bin/sh
# SSH_ASKPASS of the harness: picks the answer by the prompt and writes down what was asked.
# With E2E_SENT the code is the first word of that file's last line, as soon as there are E2E_SENT_LINES of them;
# before that, with E2E_ASK, the channel of that name is asked.
# With E2E_GATE it holds the code back until the harness opens the FIFO there.
printf '%s\n' "$1" >>"$E2E_PROMPTS"
case $1 in
*"Password: " | *"'s password: ")
    printf '%s\n' "$E2E_PASSWORD"
    ;;
*"Verification code: ")
    if [ -n "$E2E_GATE" ]; then
        : >"$E2E_GATE/$$"
        : <"$E2E_GATE/go"
    fi
    if [ -n "$E2E_ASK" ] && [ "$(grep -c 'Verification code: ' "$E2E_PROMPTS")" = 1 ]; then
        E2E_CODE=$E2E_ASK
    elif [ -n "$E2E_SENT" ]; then
        until [ "$(wc -l <"$E2E_SENT")" -ge "$E2E_SENT_LINES" ]; do
            sleep 0.1
        done
        E2E_CODE=$(tail -n 1 "$E2E_SENT" | cut -d ' ' -f 1)
    fi
    printf '%s\n' "$E2E_CODE"
    ;;
*)
    exit 1
    ;;
esac
