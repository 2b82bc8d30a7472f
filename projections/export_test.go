package projections

// TimerStatements are the statements of Timers by name, for tests of their plans.
func TimerStatements() map[string]string {
	return map[string]string{
		"due": dueConversations, "overdue": overdueConversations, "waiting": waitingConversations,
		"open of": openConversations, "busy": busyAgents,
	}
}

// PlanByIndex is how they are planned.
const PlanByIndex = planByIndex

// ListDeliveries is the statement of a list of deliveries.
var ListDeliveries = listDeliveries
