/*
 * An application in C that goes through whole PAM cycles, for tools that watch memory: sshd and login are
 * in C too, and what the module leaks or tears there is not seen by a test in Rust.
 *
 * Usage: cycles CONFDIR [leak] < CYCLES
 *
 * A cycle is a line of words with tabs between: service, user, the number that pam_authenticate() has to
 * return, and an answer for each prompt. The answer `-` fails the conversation; `!` succeeds without an
 * answer, as a careless application does. `leak` loses some memory, which the tool has to notice.
 */
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ANSWERS 8

struct script {
    char *answers[MOST_ANSWERS];
    int count;
    int next;
};

static int answer(struct script *script, struct pam_response *response)
{
    const char *text;

    if (script->next >= script->count)
        return PAM_CONV_ERR;
    text = script->answers[script->next++];
    if (strcmp(text, "-") == 0)
        return PAM_CONV_ERR;
    if (strcmp(text, "!") == 0)
        return PAM_SUCCESS;
    response->resp = strdup(text);
    return response->resp == NULL ? PAM_BUF_ERR : PAM_SUCCESS;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    struct pam_response *made = calloc((size_t)count, sizeof *made);
    int status = made == NULL ? PAM_BUF_ERR : PAM_SUCCESS;

    for (int i = 0; status == PAM_SUCCESS && i < count; i++) {
        int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF || style == PAM_PROMPT_ECHO_ON)
            status = answer(data, &made[i]);
    }
    if (status != PAM_SUCCESS) {
        for (int i = 0; made != NULL && i < count; i++)
            free(made[i].resp);
        free(made);
        return status;
    }
    *responses = made;
    return PAM_SUCCESS;
}

/* Everything that a login and a change of password call, in the order of sshd. */
static int cycle(const char *confdir, const char *service, const char *user, struct script *script)
{
    struct pam_conv conversation = { converse, script };
    pam_handle_t *handle = NULL;
    int result = pam_start_confdir(service, user, &conversation, confdir, &handle);

    if (result != PAM_SUCCESS)
        return -1;
    pam_set_item(handle, PAM_RHOST, "192.0.2.7");
    pam_set_item(handle, PAM_TTY, "ssh");
    result = pam_authenticate(handle, 0);
    if (result == PAM_SUCCESS) {
        pam_acct_mgmt(handle, 0);
        pam_setcred(handle, PAM_ESTABLISH_CRED);
        pam_open_session(handle, 0);
        pam_chauthtok(handle, 0);
        pam_close_session(handle, 0);
        pam_setcred(handle, PAM_DELETE_CRED);
    }
    pam_end(handle, result);
    return result;
}

int main(int argc, char **argv)
{
    static char line[2048];
    int wrong = 0;

    if (argc < 2)
        return 2;
    if (argc > 2 && strcmp(argv[2], "leak") == 0) {
        volatile char *lost = malloc(1234);
        if (lost != NULL)
            lost[0] = 1;
        lost = NULL;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct script script = { { NULL }, 0, 0 };
        char *rest = line;
        char *service, *user, *expected, *word;
        int result;

        line[strcspn(line, "\n")] = '\0';
        service = strsep(&rest, "\t");
        user = strsep(&rest, "\t");
        expected = strsep(&rest, "\t");
        if (user == NULL || expected == NULL)
            return 2;
        while (script.count < MOST_ANSWERS && (word = strsep(&rest, "\t")) != NULL)
            script.answers[script.count++] = word;
        result = cycle(argv[1], service, user, &script);
        printf("%s %s: %d, expected %s\n", service, user, result, expected);
        wrong += result != atoi(expected);
    }
    return wrong == 0 ? 0 : 1;
}
