#include "imap/sort.h"

static const struct {
	struct slice name;
	enum sort_by by;
} criteria_table[] = {
	{{"ARRIVAL", 7}, SORT_ARRIVAL},
	{{"CC", 2}, SORT_CC},
	{{"DATE", 4}, SORT_DATE},
	{{"DISPLAYFROM", 11}, SORT_DISPLAYFROM},
	{{"DISPLAYTO", 9}, SORT_DISPLAYTO},
	{{"FROM", 4}, SORT_FROM},
	{{"RELEVANCY", 9}, SORT_RELEVANCY},
	{{"SIZE", 4}, SORT_SIZE},
	{{"SUBJECT", 7}, SORT_SUBJECT},
	{{"TO", 2}, SORT_TO},
};

static bool parse_criterion(struct imap_parser *p, struct sort_criterion *criterion)
{
	struct slice word;

	criterion->reverse = imap_accept_word(p, SLICE("REVERSE"));
	if ((criterion->reverse && !imap_parse_space(p)) || !imap_parse_word(p, &word))
		return false;
	for (size_t i = 0; i < sizeof(criteria_table) / sizeof(criteria_table[0]); i++) {
		if (slice_eq_nocase(word, criteria_table[i].name)) {
			criterion->by = criteria_table[i].by;
			return true;
		}
	}
	return imap_fault(p, SLICE("there is no such sort criterion"));
}

static bool parse_criteria(struct imap_parser *p, struct sort_request *request)
{
	if (!imap_parse_byte(p, '('))
		return false;
	do {
		if (request->count == SORT_CRITERIA_MAX)
			return imap_fault(p, SLICE("too many sort criteria"));
		if (!parse_criterion(p, &request->criteria[request->count++]))
			return false;
	} while (imap_accept(p, ' '));
	return imap_parse_byte(p, ')');
}

bool imap_parse_sort(struct imap_parser *p, struct sort_request *request)
{
	*request = (struct sort_request){0};
	if (!imap_parse_search_return(p, &request->search) || !parse_criteria(p, request) || !imap_parse_space(p))
		return false;
	for (unsigned i = 0; i < request->count; i++)
		request->search.wants_scores |= request->criteria[i].by == SORT_RELEVANCY;
	return imap_parse_search_program(p, &request->search);
}

static const struct {
	struct slice name;
	enum thread_algorithm algorithm;
} algorithm_table[] = {
	{{"ORDEREDSUBJECT", 14}, THREAD_ORDEREDSUBJECT},
	{{"REFERENCES", 10}, THREAD_REFERENCES},
	{{"REFS", 4}, THREAD_REFS},
};

static bool parse_algorithm(struct imap_parser *p, enum thread_algorithm *algorithm)
{
	struct slice word;

	if (!imap_parse_word(p, &word))
		return false;
	for (size_t i = 0; i < sizeof(algorithm_table) / sizeof(algorithm_table[0]); i++) {
		if (slice_eq_nocase(word, algorithm_table[i].name)) {
			*algorithm = algorithm_table[i].algorithm;
			return true;
		}
	}
	return imap_fault(p, SLICE("there is no such way to make threads"));
}

bool imap_parse_thread(struct imap_parser *p, struct thread_request *request)
{
	*request = (struct thread_request){0};
	return parse_algorithm(p, &request->algorithm) && imap_parse_space(p) && imap_parse_search_program(p, &request->search);
}
